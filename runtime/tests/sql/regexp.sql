-- REGEXP, REGEXP_EXTRACT, REGEXP_REPLACE.

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

SELECT id, REGEXP_REPLACE(s, '[0-9]+', '#') AS a, REGEXP_EXTRACT(s, '([a-z])([0-9]+)', 2) AS b, REGEXP(s, '^[A-Z]') AS c
FROM texts;
