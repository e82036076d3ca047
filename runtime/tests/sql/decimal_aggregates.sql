-- SUM, AVG, MIN, MAX over DECIMAL: precision and scale of the result, NULL left out.

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

SELECT k, SUM(a) AS s, AVG(a) AS v, MIN(b) AS mi, MAX(b) AS ma, COUNT(a) AS c FROM money GROUP BY k;
