-- Decimals of unlike scales compare by value, also with integers and as keys of CASE.

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

SELECT id, a > b AS g, a = 10 AS e, a >= 0.1 AS h, a < b AS l, a BETWEEN 0 AND 5 AS w, CASE WHEN a = 0 THEN 'zero' ELSE 'other' END AS z
FROM money;
