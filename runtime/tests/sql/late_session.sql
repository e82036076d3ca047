-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- Gap 10 s. a,2 at 8 s: session [0 s, 18 s). b,3 at 30 s: the watermark is 29 s, a's session is closed. Then
--  a,4 at  5 s would merge with a closed session, whose state is gone: alone it is [5 s, 15 s), closed, dropped.
--  a,5 at 20 s is behind the watermark, but its session [20 s, 30 s) ends after it: opened.
--  a,6 at 15 s: alone it would be [15 s, 25 s), closed; but it touches the open session, so it extends it to [15 s, 30 s).
--  b,7 at 24 s extends b's session to the front: [24 s, 40 s).
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_session.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, window_start, window_end, COUNT(*) AS c, SUM(n) AS s FROM TABLE(SESSION(TABLE rows_in PARTITION BY k, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end;
