-- TIMESTAMP_LTZ in New York: the hour between 02:00 and 03:00 is missing in March, the one between 01:00 and 02:00 comes
-- twice in November. Times before 1970 are left out: Flink gives them negative hours.

SET 'table.local-time-zone' = 'America/New_York';

CREATE TABLE epochs (
  id INT,
  s BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/epochs.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, CAST(TO_TIMESTAMP_LTZ(s, 0) AS TIMESTAMP(3)) AS local_time, DATE_FORMAT(TO_TIMESTAMP_LTZ(s, 0), 'yyyy-MM-dd HH:mm') AS text, EXTRACT(HOUR FROM TO_TIMESTAMP_LTZ(s, 0)) AS h FROM epochs WHERE s > 86400;
