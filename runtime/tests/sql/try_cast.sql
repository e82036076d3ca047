-- What CAST would refuse becomes NULL.

CREATE TABLE texts (
  id INT,
  s STRING,
  n INT,
  d DOUBLE,
  b BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/texts.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, TRY_CAST(s AS INT) AS a, TRY_CAST(s AS DOUBLE) AS b, TRY_CAST(s AS DATE) AS c, TRY_CAST(s AS BOOLEAN) AS e,
  TRY_CAST(s AS DECIMAL(6, 1)) AS f
FROM texts;
