-- Retractions through three levels.

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

SELECT n, COUNT(*) AS c FROM (
  SELECT s / 500 AS bucket, COUNT(*) AS n FROM (SELECT auction, channel, SUM(price) AS s FROM bids GROUP BY auction, channel) GROUP BY s / 500
) GROUP BY n;
