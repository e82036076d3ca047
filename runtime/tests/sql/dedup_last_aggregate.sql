-- An aggregate over the last versions: each change retracts the version before.

CREATE TABLE versions (
  id BIGINT,
  v STRING,
  score INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/versions.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT score > 25 AS high, COUNT(*) AS c, SUM(score) AS s FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn FROM versions) WHERE rn = 1 GROUP BY score > 25;
