-- Sub-queries in FROM, three levels, with renamed columns.

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

SELECT x.a2, x.p2 + 1 AS p3 FROM (
  SELECT y.a1 AS a2, y.p1 * 2 AS p2 FROM (SELECT auction AS a1, price AS p1 FROM bids WHERE price > 20) AS y WHERE y.p1 < 200
) AS x WHERE x.a2 > 2;
