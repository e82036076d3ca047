-- One source, two aggregates, joined again.

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

SELECT a.auction, a.c, b.m FROM (SELECT auction, COUNT(*) AS c FROM bids GROUP BY auction) a
JOIN (SELECT auction, MAX(price) AS m FROM bids WHERE channel = 'web' GROUP BY auction) b ON a.auction = b.auction;
