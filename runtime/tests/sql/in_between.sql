-- IN lists and BETWEEN over numbers, text and times.

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

SELECT auction, price, channel FROM bids
WHERE channel IN ('web', 'tv') AND price BETWEEN 50 AND 150 AND auction NOT IN (1, 2)
  AND ts NOT BETWEEN TIMESTAMP '2026-03-01 10:02:00' AND TIMESTAMP '2026-03-01 10:04:00';
