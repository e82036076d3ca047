-- MAX and MIN fall back when their row is retracted: over a sum that goes up and down.

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

SELECT MOD(s, 2) AS m, MAX(s) AS ma, MIN(s) AS mi, COUNT(*) AS c, SUM(DISTINCT s) AS d FROM (SELECT k, SUM(CASE WHEN b THEN i ELSE -i END) AS s FROM numbers GROUP BY k) GROUP BY MOD(s, 2);
