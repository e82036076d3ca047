-- A filter over an updating stream: rows enter and leave.

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

SELECT auction, c, s FROM (SELECT auction, COUNT(*) AS c, SUM(price) AS s FROM bids GROUP BY auction) WHERE MOD(c, 2) = 0 AND s > 500;
