-- A retracting aggregate over a union of an append-only stream and an aggregate.

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

SELECT k, SUM(c) AS s FROM (
  SELECT channel AS k, COUNT(*) AS c FROM bids GROUP BY channel
  UNION ALL SELECT channel, CAST(1 AS BIGINT) FROM bids WHERE price > 200
) GROUP BY k;
