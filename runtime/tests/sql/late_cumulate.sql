-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- Windows that grow by 10 s up to 30 s. After 12 s the watermark is 11 s: [0 s, 10 s) is closed, a,3 at 4 s is not in it any more,
-- but it is in [0 s, 20 s) and [0 s, 30 s). After 33 s all three are closed: a,5 at 25 s is dropped.
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_cumulate.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, window_start, window_end, COUNT(*) AS c, SUM(n) AS s FROM TABLE(CUMULATE(TABLE rows_in, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)) WHERE k = 'a' GROUP BY k, window_start, window_end;
