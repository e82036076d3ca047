-- ARRAY, MAP and ROW: element access, CARDINALITY, missing and NULL parts.

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

SELECT id, tags[1] AS a, CARDINALITY(tags) AS b, attrs['k'] AS c, CARDINALITY(attrs) AS e, things.pos.x AS f, things.pos.y AS g
FROM things;
