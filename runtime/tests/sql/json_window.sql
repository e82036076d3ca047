-- A window over JSON input.

CREATE TABLE things (
  id INT,
  name STRING,
  tags ARRAY<STRING>,
  attrs MAP<STRING, STRING>,
  pos ROW<x DOUBLE, y INT>,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/things.json',
  'format' = 'json'
);

CREATE VIEW flat AS SELECT name, things.pos.y AS y, ts FROM things;

SELECT window_start, window_end, COUNT(*) AS c, COUNT(name) AS n, SUM(y) AS y
FROM TABLE(TUMBLE(TABLE flat, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end;
