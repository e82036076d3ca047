-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- a,3 at 12 s moves the watermark to 11 s: window [0 s, 10 s) is closed. Then
--  a,4 at  3 s belongs to the closed window: dropped.
--  a,5 at 10.5 s is behind the watermark, but its window [10 s, 20 s) is open: counted.
--  b,6 at  4 s: a key that was never seen in the closed window is dropped all the same.
-- The end of the input closes the rest.
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_tumble.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, window_start, COUNT(*) AS c, SUM(n) AS s FROM TABLE(TUMBLE(TABLE rows_in, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end;
