-- Negative times: the grid does not bend at the epoch. The first row is ten years earlier.

CREATE TABLE ancient (
  id INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/old.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, window_end, COUNT(*) AS c, MIN(id) AS mi FROM TABLE(TUMBLE(TABLE ancient, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
