-- Computed columns in the table, one used by another place in the statement and by the watermark.

CREATE TABLE bids (
  auction BIGINT,
  bidder BIGINT,
  price BIGINT,
  channel STRING,
  written STRING,
  euros AS CAST(price AS DECIMAL(12, 2)) * 0.5,
  ts AS TO_TIMESTAMP(written),
  hour_of AS HOUR(TO_TIMESTAMP(written)),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/bids.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, hour_of, SUM(euros) AS s, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '2' MINUTE)) GROUP BY window_start, window_end, hour_of;
