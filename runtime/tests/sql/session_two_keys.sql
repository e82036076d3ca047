-- Partitioned by two columns, with a distinct count and FILTER.

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

SELECT who, url, window_start, window_end, window_time, COUNT(*) AS c, COUNT(*) FILTER (WHERE url = '/a') AS a FROM TABLE(SESSION(TABLE clicks PARTITION BY (who, url), DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY who, url, window_start, window_end, window_time;
