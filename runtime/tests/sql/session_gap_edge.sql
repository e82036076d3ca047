-- Rows exactly one gap apart are in two sessions, one millisecond less in one.

CREATE TABLE edges (
  k STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/edges.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT k, window_start, window_end, COUNT(*) AS c FROM TABLE(SESSION(TABLE edges PARTITION BY k, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end;
