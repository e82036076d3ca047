-- UNION ALL keeps duplicates.

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

SELECT auction, price FROM bids WHERE channel = 'web'
UNION ALL SELECT auction, price FROM bids WHERE price > 200
UNION ALL SELECT bidder, price FROM bids WHERE channel = 'tv';
