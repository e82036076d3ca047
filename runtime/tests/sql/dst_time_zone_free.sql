-- TIMESTAMP has no zone: windows of an hour have an hour, also on the days when New York changes its clocks.

SET 'table.local-time-zone' = 'America/New_York';

CREATE TABLE dst (
  id INT,
  k STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/dst.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, window_end, k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE dst, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, k;
