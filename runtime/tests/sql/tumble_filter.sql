-- FILTER on aggregates, also on a distinct one.

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

SELECT window_start, COUNT(*) FILTER (WHERE channel = 'web') AS w, SUM(price) FILTER (WHERE price > 100) AS s,
  COUNT(DISTINCT bidder) FILTER (WHERE channel <> 'tv') AS d, MAX(price) FILTER (WHERE price < 0) AS never
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
