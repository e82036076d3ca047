-- Retractions into a semi join: members of a set that changes.

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

SELECT bidder, price FROM bids WHERE auction IN (SELECT auction FROM bids GROUP BY auction HAVING COUNT(*) < 15);
