-- Decimals as keys.

CREATE TABLE money (
  id INT,
  k STRING,
  a DECIMAL(10, 2),
  b DECIMAL(12, 4)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/money.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT x.id AS a, y.id AS b FROM money x JOIN money y ON x.a = y.a;
