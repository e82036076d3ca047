-- Keys that are expressions, and an expression over the aggregates.

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

SELECT auction / 3 AS g, price > 100 AS dear, SUM(price) * 1.5 AS s, MAX(price) - MIN(price) AS spread FROM bids GROUP BY auction / 3, price > 100;
