-- A rank over sums that also fall: rows beyond the limit come back.

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

SELECT k, s FROM (
  SELECT k, s, ROW_NUMBER() OVER (ORDER BY s DESC, k) AS rn
  FROM (SELECT k, SUM(CASE WHEN b THEN i ELSE -i END) AS s FROM numbers WHERE k IS NOT NULL GROUP BY k)
) WHERE rn <= 2;
