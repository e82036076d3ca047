-- Math functions of integers and doubles.

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

SELECT id, ABS(d) AS a, CEIL(d) AS b, FLOOR(d) AS c, ROUND(d, 1) AS e, SIGN(d) AS f, MOD(n, 5) AS g, n % 4 AS h,
  SQRT(ABS(d)) AS i, TRUNCATE(d, 1) AS j, POWER(2, 10) AS k
FROM texts WHERE n IS NULL OR ABS(CAST(n AS BIGINT)) < 1000000;
