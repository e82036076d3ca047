-- FIRST_VALUE and LAST_VALUE in arrival order.
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

SELECT team, FIRST_VALUE(player) AS f, LAST_VALUE(score) AS l, COUNT(*) AS c FROM scores GROUP BY team;
