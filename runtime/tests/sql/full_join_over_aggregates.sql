-- Retractions on both sides of a full join.

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

SELECT a.c, a.n, b.m FROM (SELECT c, COUNT(*) AS n FROM (SELECT auction, COUNT(*) AS c FROM bids GROUP BY auction) GROUP BY c) a
FULL JOIN (SELECT c, COUNT(*) AS m FROM (SELECT bidder, channel, COUNT(*) AS c FROM bids GROUP BY bidder, channel) GROUP BY c) b ON a.c = b.c;
