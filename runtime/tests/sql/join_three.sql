-- Three tables.

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

CREATE TABLE people (
  id BIGINT,
  name STRING,
  city STRING,
  joined DATE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/people.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT p.name, o.id, SUM(pay.amount) AS paid FROM orders o JOIN people p ON o.customer = p.id JOIN payments pay ON pay.order_id = o.id GROUP BY p.name, o.id;
