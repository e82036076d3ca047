-- COALESCE, NULLIF, IF, IFNULL, GREATEST, LEAST.

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

SELECT id, COALESCE(s, 'none') AS a, NULLIF(n, 0) AS b, IF(b, 'yes', 'no') AS c, IFNULL(n, -1) AS e, GREATEST(n, 5) AS f,
  LEAST(id, n) AS g, COALESCE(d, CAST(n AS DOUBLE), 0.5) AS h
FROM texts;
