-- Windows over TIMESTAMP_LTZ follow local time: the day of the change has 23 or 25 hours.

SET 'table.local-time-zone' = 'America/New_York';

CREATE TABLE epochs (
  id INT,
  s BIGINT,
  ts AS TO_TIMESTAMP_LTZ(s, 0),
  WATERMARK FOR ts AS ts - INTERVAL '1' HOUR
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/epochs.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, window_end, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE epochs, DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end;
