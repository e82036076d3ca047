-- NULL is a key like any other; NULL values are left out of aggregates.

CREATE TABLE orders (
  id BIGINT,
  customer BIGINT,
  amount DECIMAL(10, 2),
  status STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/orders.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT window_start, status, COUNT(*) AS c, COUNT(customer) AS cc, SUM(amount) AS s, MAX(customer) AS m
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '2' MINUTE)) GROUP BY window_start, window_end, status;
