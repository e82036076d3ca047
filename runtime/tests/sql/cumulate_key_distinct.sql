-- Growing windows per key, with a distinct count.

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

SELECT window_start, window_end, channel, COUNT(DISTINCT bidder) AS d, MAX(price) AS m FROM TABLE(CUMULATE(TABLE bids, DESCRIPTOR(ts), INTERVAL '2' MINUTE, INTERVAL '6' MINUTE)) GROUP BY window_start, window_end, channel;
