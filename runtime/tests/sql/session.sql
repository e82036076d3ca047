-- Sessions per key; rows out of order bridge and merge sessions.

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

SELECT who, window_start, window_end, COUNT(*) AS c, MIN(url) AS mi, MAX(url) AS ma FROM TABLE(SESSION(TABLE clicks PARTITION BY who, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY who, window_start, window_end;
