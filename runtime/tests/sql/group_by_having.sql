-- Groups leave the result again when they fall out of HAVING.

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

SELECT auction, MIN(price) AS mi, COUNT(*) AS c FROM bids GROUP BY auction HAVING MIN(price) > 10 AND COUNT(*) < 20;
