-- TIMESTAMPDIFF counts whole units, TIMESTAMPADD adds them.

CREATE TABLE dates (
  id INT,
  d DATE,
  t TIMESTAMP(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dates.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, TIMESTAMPDIFF(DAY, TIMESTAMP '2024-02-28 00:00:00', t) AS a, TIMESTAMPDIFF(MONTH, TIMESTAMP '2024-01-15 00:00:00', t) AS b,
  TIMESTAMPDIFF(HOUR, t, TIMESTAMP '2024-03-01 00:00:00') AS c, TIMESTAMPDIFF(YEAR, TIMESTAMP '2000-02-29 06:07:08', t) AS e,
  TIMESTAMPADD(DAY, 1, t) AS f, TIMESTAMPADD(MONTH, -1, t) AS g
FROM dates;
