-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- The watermark is exact to the millisecond. After 10.998 s it is 9.998 s: [0 s, 10 s) is open, a,2 at 1 s is counted. After
-- 10.999 s it is 9.999 s, the last time of the window: it is closed, a,4 at 9.999 s is dropped.
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_edge.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, window_start, COUNT(*) AS c, SUM(n) AS s FROM TABLE(TUMBLE(TABLE rows_in, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end;
