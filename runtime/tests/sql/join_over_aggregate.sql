-- Retractions into a left join: the key of the join is the value that changes.

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

SELECT t.auction, t.c, p.name FROM (SELECT auction, COUNT(*) * 100 AS c FROM bids GROUP BY auction) t LEFT JOIN people p ON t.c = p.id;
