-- The three best of each team, without their rank; NULL is a team.

CREATE TABLE scores (
  team STRING,
  player INT,
  score INT
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/scores.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT team, player, score FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY team ORDER BY score DESC, player) AS rn FROM scores) WHERE rn <= 3;
