-- Projection with arithmetic and a filter with AND, OR, NOT.

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

SELECT auction, price * 2 + 1 AS p, price - bidder AS diff, channel FROM bids WHERE (price > 100 AND channel <> 'tv') OR NOT (auction < 6);
