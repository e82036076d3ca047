-- Ranks two to four.

CREATE TABLE scores (
  team STRING,
  player INT,
  score INT
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/scores.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT team, rn, score FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY team ORDER BY score, player) AS rn FROM scores) WHERE rn >= 2 AND rn <= 4;
