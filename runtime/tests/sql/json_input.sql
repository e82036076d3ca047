-- JSON lines: missing fields are NULL, unknown ones are skipped, escapes and non-ASCII text come through.

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

SELECT id, name, tags, attrs, ts FROM things;
