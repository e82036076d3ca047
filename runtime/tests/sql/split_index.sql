-- SPLIT_INDEX counts from 0; beyond the end it is NULL.

CREATE TABLE texts (
  id INT,
  s STRING,
  n INT,
  d DOUBLE,
  b BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/texts.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, SPLIT_INDEX(s, ';', 0) AS a, SPLIT_INDEX(s, ';', 2) AS b, SPLIT_INDEX(s, ';', 5) AS c, SPLIT_INDEX(s, ' ', 1) AS e
FROM texts;
