-- Integer division truncates towards zero, the remainder has the sign of the dividend, INT overflow wraps.

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

SELECT id, n / 2 AS a, n / -4 AS b, MOD(n, 3) AS c, n % -3 AS e, n + 1 AS f, n * 2 AS g, CAST(n AS BIGINT) * 2 AS h, -n AS i
FROM texts;
