-- NULLs in the order: last when descending, first when ascending. (Flink overlooks NULLS LAST here, so it is not asked.)

CREATE TABLE numbers (
  id INT,
  i INT,
  d DOUBLE,
  b BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/ranked.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT 'asc' AS o, id, i FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY i, id) AS rn FROM numbers) WHERE rn <= 4
UNION ALL SELECT 'desc', id, i FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY i DESC, id) AS rn FROM numbers) WHERE rn <= 4;
