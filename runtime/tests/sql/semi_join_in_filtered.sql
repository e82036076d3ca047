-- IN with a filtered sub-query and a further condition.

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

SELECT auction, price FROM bids WHERE price > 100 AND bidder IN (SELECT id FROM people WHERE city = 'Rome');
