-- The five best of all, with their rank. Ties are broken by player.

CREATE TABLE scores (
  team STRING,
  player INT,
  score INT
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/scores.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT rn, player, score FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY score DESC, player) AS rn FROM scores) WHERE rn <= 5;
