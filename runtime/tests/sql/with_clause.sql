-- Common table expressions, one used twice.

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

WITH web AS (SELECT auction, price FROM bids WHERE channel = 'web'),
  best AS (SELECT auction, MAX(price) AS m FROM web GROUP BY auction)
SELECT w.auction, w.price FROM web w JOIN best b ON w.auction = b.auction AND w.price = b.m;
