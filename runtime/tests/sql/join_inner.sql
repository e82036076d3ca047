-- INNER JOIN with duplicates on both sides and NULL keys, which match nothing.

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

SELECT l.id AS lid, l.k AS lk, l.v AS lv, r.id AS rid, r.k AS rk FROM l INNER JOIN r ON l.k = r.k;
