-- IS NOT DISTINCT FROM lets NULL keys match.

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

SELECT l.id AS a, r.id AS b FROM l JOIN r ON l.k IS NOT DISTINCT FROM r.k;
