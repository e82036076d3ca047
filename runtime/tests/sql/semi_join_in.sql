-- IN with a sub-query: once, however many partners.

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

CREATE TABLE payments (
  id BIGINT,
  order_id BIGINT,
  amount DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/payments.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, status FROM orders WHERE id IN (SELECT order_id FROM payments);
