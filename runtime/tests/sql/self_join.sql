-- A table with itself.

CREATE TABLE people (
  id BIGINT,
  name STRING,
  city STRING,
  joined DATE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/people.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT a.name AS x, b.name AS y FROM people a JOIN people b ON a.city = b.city AND a.id < b.id;
