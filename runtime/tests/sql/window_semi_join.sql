-- Rows whose window has a partner: IN over a window join.

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

SELECT L.id, L.amount, L.window_start FROM (SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) L
WHERE L.id IN (
  SELECT order_id FROM (SELECT * FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) R
  WHERE L.window_start = R.window_start AND L.window_end = R.window_end);
