-- Duplicates and NULLs become one row.

CREATE TABLE numbers (
  k STRING,
  i INT,
  d DOUBLE,
  b BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/numbers.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT DISTINCT k, b FROM numbers;
