-- A directory is a table; one of its files ends long before the other. Its end must not hold the windows back.

CREATE TABLE pair (
  k STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/pair',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, k, COUNT(*) AS c, SUM(n) AS s FROM TABLE(TUMBLE(TABLE pair, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
