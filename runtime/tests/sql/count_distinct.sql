-- Several distinct aggregates with and without FILTER.

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

SELECT k, COUNT(DISTINCT i) AS a, COUNT(DISTINCT d) AS b, SUM(DISTINCT i) AS c, COUNT(DISTINCT i) FILTER (WHERE b) AS e, COUNT(*) FILTER (WHERE NOT b) AS f FROM numbers GROUP BY k;
