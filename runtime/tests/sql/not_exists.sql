-- NOT EXISTS keeps NULL keys.

CREATE TABLE l (
  id INT,
  k BIGINT,
  v STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/left.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

CREATE TABLE r (
  id INT,
  k BIGINT,
  v STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/right.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, k FROM l WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.k = l.k);
