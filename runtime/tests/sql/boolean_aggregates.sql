-- MIN and MAX over text and times, COUNT over booleans.

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

SELECT channel, MIN(ts) AS a, MAX(ts) AS b, MIN(channel) AS c, COUNT(price > 100) AS e FROM bids GROUP BY channel;
