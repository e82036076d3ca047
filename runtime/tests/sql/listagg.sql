-- LISTAGG in arrival order per key, default and given separator.
-- order: arrival

CREATE TABLE scores (
  team STRING,
  player INT,
  score INT
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/scores.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT team, LISTAGG(CAST(player AS STRING)) AS a, LISTAGG(CAST(score AS STRING), ' / ') AS b FROM scores WHERE player < 25 GROUP BY team;
