-- LIKE with %, _, ESCAPE and NOT.

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

SELECT id, s LIKE '%o%' AS a, s LIKE '_2' AS b, s LIKE '%!_%' ESCAPE '!' AS c, s NOT LIKE 'H%' AS e, s LIKE '' AS f
FROM texts;
