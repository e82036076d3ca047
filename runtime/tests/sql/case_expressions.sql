-- Searched, simple and nested CASE; no ELSE gives NULL; a NULL operand matches nothing.

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

SELECT id,
  CASE WHEN n > 5 THEN 'big' WHEN n > 0 THEN 'small' WHEN n IS NULL THEN 'none' ELSE 'neg' END AS a,
  CASE s WHEN '42' THEN 1 WHEN '' THEN 2 END AS b,
  CASE WHEN b THEN CASE WHEN d > 1 THEN 'tt' ELSE 'tf' END ELSE 'f' END AS c,
  CASE n WHEN NULL THEN 'never' ELSE 'else' END AS d
FROM texts;
