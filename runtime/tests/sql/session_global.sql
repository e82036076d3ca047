-- One key for all.

CREATE TABLE clicks (
  who STRING,
  url STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/clicks.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, window_end, COUNT(*) AS c, COUNT(DISTINCT who) AS w FROM TABLE(SESSION(TABLE clicks, DESCRIPTOR(ts), INTERVAL '8' SECOND)) GROUP BY window_start, window_end;
