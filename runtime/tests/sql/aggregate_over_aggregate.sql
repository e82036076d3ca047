-- Retractions through two levels: how many auctions have how many bids.

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

SELECT c, COUNT(*) AS auctions, MIN(auction) AS first_auction, MAX(s) AS best FROM (SELECT auction, COUNT(*) AS c, SUM(price) AS s FROM bids GROUP BY auction) GROUP BY c;
