-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- A window over a window. After 12 s the inner window [0 s, 10 s) is closed and emitted with window_time 9.999 s, which is not late for
-- the outer [0 s, 30 s): the watermark that follows it downstream is 11 s. a,3 at 2 s is dropped by the inner window, so the outer
-- one sees two inner rows.
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_cascade.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

CREATE VIEW fine AS SELECT k, window_time AS t, SUM(n) AS s FROM TABLE(TUMBLE(TABLE rows_in, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE k = 'a' GROUP BY k, window_start, window_end, window_time;

SELECT window_start, COUNT(*) AS c, SUM(s) AS s FROM TABLE(TUMBLE(TABLE fine, DESCRIPTOR(t), INTERVAL '30' SECOND)) GROUP BY window_start, window_end;
