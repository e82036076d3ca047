-- A view over a view, a temporary view, and an aggregate over both.

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

CREATE VIEW dear AS SELECT auction, price, channel FROM bids WHERE price > 100;

CREATE TEMPORARY VIEW web_dear (a, p) AS SELECT auction, price FROM dear WHERE channel = 'web';

SELECT a, COUNT(*) AS c, MAX(p) AS m FROM web_dear GROUP BY a;
