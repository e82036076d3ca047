-- COUNT(DISTINCT …) and SUM(DISTINCT …) beside plain aggregates.

CREATE TABLE bids (
  auction BIGINT,
  bidder BIGINT,
  price BIGINT,
  channel STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/bids.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, COUNT(DISTINCT bidder) AS b, SUM(DISTINCT bidder) AS sb, COUNT(*) AS c, COUNT(DISTINCT channel) AS ch FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
