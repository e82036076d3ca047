-- Retractions into Top-N: the auctions with most bids.

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

SELECT auction, c, rn FROM (
  SELECT auction, c, ROW_NUMBER() OVER (ORDER BY c DESC, auction) AS rn FROM (SELECT auction, COUNT(*) AS c FROM bids GROUP BY auction)
) WHERE rn <= 3;
