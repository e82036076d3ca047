-- An updating aggregate: the last value of each group.

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

SELECT auction, COUNT(*) AS c, SUM(price) AS s, MIN(price) AS mi, MAX(price) AS ma, AVG(price) AS a FROM bids GROUP BY auction;
