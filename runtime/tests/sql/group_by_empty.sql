-- No input: no groups.

CREATE TABLE nothing (
  id INT,
  v STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/empty.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT v, COUNT(*) AS c FROM nothing GROUP BY v;
