-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- Windows of 20 s every 10 s. After 22 s the watermark is 21 s: [-10 s, 10 s) and [0 s, 20 s) are closed, [10 s, 30 s) is open.
--  a,4 at  5 s belongs to the two closed windows: dropped.
--  a,5 at 12 s is late for [0 s, 20 s), but counted in [10 s, 30 s).
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_hop.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, window_start, window_end, COUNT(*) AS c, SUM(n) AS s FROM TABLE(HOP(TABLE rows_in, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY k, window_start, window_end;
