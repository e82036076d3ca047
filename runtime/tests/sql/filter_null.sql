-- A predicate that is NULL keeps no row.

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

SELECT id, n FROM texts WHERE n <> 3 AND (b OR n > 5);
