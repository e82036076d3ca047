-- Windows of a day over leap days and before 1970.

CREATE TABLE dates (
  id INT,
  d DATE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dated.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, window_end, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE dates, DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end;
