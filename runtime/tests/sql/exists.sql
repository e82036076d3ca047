-- EXISTS, correlated by a key and a condition.

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

SELECT id, amount FROM orders o WHERE EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id AND p.amount > 50);
