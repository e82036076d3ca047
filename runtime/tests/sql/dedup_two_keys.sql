-- Deduplication by two columns.

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

SELECT auction, channel, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction, channel ORDER BY ts ASC) AS rn FROM bids) WHERE rn = 1;
