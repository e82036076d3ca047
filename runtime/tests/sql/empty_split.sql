-- A directory with an empty file.

CREATE TABLE pair (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/pair_empty',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, COUNT(*) AS c FROM TABLE(HOP(TABLE pair, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
