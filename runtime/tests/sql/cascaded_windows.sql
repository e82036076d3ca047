-- A window over the result of a window, by window_time.

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

CREATE VIEW fine AS
SELECT window_time AS t, auction, SUM(price) AS s FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '30' SECOND))
GROUP BY window_start, window_end, window_time, auction;

SELECT window_start, window_end, COUNT(*) AS c, SUM(s) AS s, MAX(s) AS m FROM TABLE(TUMBLE(TABLE fine, DESCRIPTOR(t), INTERVAL '3' MINUTE)) GROUP BY window_start, window_end;
