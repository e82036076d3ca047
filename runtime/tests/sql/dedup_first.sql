-- The first version by time, although rows are out of order.

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

SELECT id, v, score FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts ASC) AS rn FROM versions) WHERE rn = 1;
