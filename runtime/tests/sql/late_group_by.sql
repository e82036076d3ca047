-- Worked out by hand. A watermark is max(ts) - 1 s and is sent at least after every batch; at least 8 rows (batch-rows) stand
-- between a row that closes a window and a row that is late for it, so the result is the same for every batch size up to 8.
--
-- An aggregate without windows knows no lateness: rows behind the watermark count like all others.
-- oracle: hand
-- batch-rows: 8

CREATE TABLE rows_in (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/late_group_by.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, COUNT(*) AS c, SUM(n) AS s FROM rows_in GROUP BY k;
