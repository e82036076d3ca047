-- A window over a sub-query that renames and filters.

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

CREATE VIEW v AS SELECT auction AS a, price * 2 AS p, ts AS t FROM bids WHERE bidder > 200;

SELECT window_start, a, SUM(p) AS s FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(t), INTERVAL '3' MINUTE)) GROUP BY window_start, window_end, a;
