-- Variances and deviations.

CREATE TABLE points (
  k STRING,
  v DOUBLE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/points.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, k, ROUND(STDDEV_POP(v), 6) AS sp, ROUND(STDDEV_SAMP(v), 6) AS ss, ROUND(VAR_POP(v), 6) AS vp,
  ROUND(VAR_SAMP(v), 6) AS vs, AVG(v) AS a
FROM TABLE(TUMBLE(TABLE points, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;
