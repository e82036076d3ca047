-- An inner join with a condition beyond the key.

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

SELECT l.v, r.v AS rv FROM l JOIN r ON l.k = r.k AND l.id > r.id;
