-- CAST between numbers, text and booleans. Decimal to integer truncates, double to integer truncates.

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

SELECT id, CAST(n AS STRING) AS a, CAST(n AS BIGINT) * 10 AS b, CAST(d AS BIGINT) AS c, CAST(d AS DECIMAL(20, 3)) AS e,
  CAST(n AS DOUBLE) AS f, CAST(b AS STRING) AS g, CAST(CAST(n AS DECIMAL(12, 2)) AS STRING) AS h, CAST('7' AS INT) + id AS i,
  CAST(1.95 AS INT) AS j, CAST(-1.95 AS INT) AS k
FROM texts;
