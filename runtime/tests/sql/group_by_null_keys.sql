-- NULL keys form one group, NULL values are not counted.

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

SELECT k, b, COUNT(*) AS c, COUNT(i) AS ci, SUM(i) AS s, SUM(d) AS sd, AVG(d) AS ad, MIN(d) AS mi, MAX(i) AS ma FROM numbers GROUP BY k, b;
