-- Left join with an empty table.

CREATE TABLE l (
  id INT,
  k BIGINT,
  v STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/left.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

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

SELECT l.id, nothing.v FROM l LEFT JOIN nothing ON l.id = nothing.id;
