-- Parts of dates and times; a NULL stays NULL. Times before 1970 are left out: Flink gives 1900-03-01 01:02:03 the hour -22.

CREATE TABLE dates (
  id INT,
  d DATE,
  t TIMESTAMP(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dates.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, EXTRACT(YEAR FROM t) AS y, EXTRACT(MONTH FROM d) AS m, EXTRACT(DAY FROM t) AS dd, EXTRACT(HOUR FROM t) AS h,
  EXTRACT(MINUTE FROM t) AS mi, EXTRACT(SECOND FROM t) AS s, YEAR(d) AS y2, QUARTER(d) AS q, MONTH(d) AS m2, WEEK(d) AS w,
  DAYOFYEAR(d) AS dy, DAYOFWEEK(d) AS dw, DAYOFMONTH(d) AS dm, HOUR(t) AS h2
FROM dates WHERE t IS NULL OR t >= TIMESTAMP '1970-01-01 00:00:00';
