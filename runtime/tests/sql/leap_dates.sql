-- Interval arithmetic over month ends and leap days: a day that does not exist becomes the last of its month.

CREATE TABLE dates (
  id INT,
  d DATE,
  t TIMESTAMP(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dates.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, d + INTERVAL '1' DAY AS a, d - INTERVAL '1' DAY AS b, d + INTERVAL '1' MONTH AS c, d + INTERVAL '1' YEAR AS e,
  d - INTERVAL '1' YEAR AS f, t + INTERVAL '36' HOUR AS g, t - INTERVAL '1' SECOND AS h, t + INTERVAL '1' MONTH AS i
FROM dates;
