-- DATE_FORMAT, CAST to text, TO_DATE and TO_TIMESTAMP with and without a pattern.

CREATE TABLE dates (
  id INT,
  d DATE,
  t TIMESTAMP(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dates.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, DATE_FORMAT(t, 'yyyy/MM/dd HH:mm:ss') AS a, DATE_FORMAT(t, 'yyyyMMddHH') AS b, CAST(d AS STRING) AS c,
  CAST(t AS STRING) AS e, TO_DATE('2024-02-29') AS f, TO_TIMESTAMP('2024-02-29 01:02:03') AS g,
  TO_TIMESTAMP('29.02.2024 1-2', 'dd.MM.yyyy H-m') AS h, TO_DATE('31/12/2025', 'dd/MM/yyyy') AS i
FROM dates;
