-- Three-valued logic: AND, OR, NOT, IN, comparison, IS DISTINCT FROM, IS [NOT] TRUE.

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

SELECT id, b AND n > 0 AS a, b OR n > 0 AS c, NOT b AS e, n IN (3, 7, NULL) AS f, n NOT IN (3, 7) AS g, n = n AS h,
  s IS DISTINCT FROM 'x' AS i, b IS TRUE AS j, b IS NOT TRUE AS k, b IS NOT FALSE AS l, n IS NULL AS m, s IS NOT NULL AS o
FROM texts;
