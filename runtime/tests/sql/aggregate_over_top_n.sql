-- Retractions out of Top-N: the sum of the two best of each team.

CREATE TABLE scores (
  team STRING,
  player INT,
  score INT
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/scores.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT team, SUM(score) AS s, COUNT(*) AS c FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY team ORDER BY score DESC, player) AS rn FROM scores) WHERE rn <= 2 GROUP BY team;
