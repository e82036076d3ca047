-- A distinct count over values that change.

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

SELECT COUNT(DISTINCT c) AS d, COUNT(*) AS n, SUM(c) AS s, AVG(c) AS a FROM (SELECT auction, channel, COUNT(*) AS c FROM bids GROUP BY auction, channel);
