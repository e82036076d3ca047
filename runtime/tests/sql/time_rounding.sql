-- FLOOR and CEIL of times, CAST between DATE and TIMESTAMP. Times before 1970 are left out: Flink casts 1969-12-31 23:59:59.999 to 1970-01-01.

CREATE TABLE dates (
  id INT,
  d DATE,
  t TIMESTAMP(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dates.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, FLOOR(t TO HOUR) AS a, CEIL(t TO DAY) AS b, FLOOR(t TO MONTH) AS c, FLOOR(t TO YEAR) AS e, FLOOR(t TO MINUTE) AS f,
  CAST(t AS DATE) AS g, CAST(d AS TIMESTAMP(3)) AS h
FROM dates WHERE t IS NULL OR t >= TIMESTAMP '1970-01-01 00:00:00';
