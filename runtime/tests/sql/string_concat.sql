-- CONCAT and || give NULL with a NULL argument, CONCAT_WS leaves it out.

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

SELECT id, CONCAT(s, '!', CAST(n AS STRING)) AS a, s || '-' || s AS b, CONCAT_WS('/', s, CAST(n AS STRING), CAST(d AS STRING)) AS c
FROM texts;
