-- Result precision and scale of +, -, *, / over DECIMAL.

CREATE TABLE money (
  id INT,
  k STRING,
  a DECIMAL(10, 2),
  b DECIMAL(12, 4)
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/money.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, a + b AS p, a - b AS m, a * b AS t, a / 3 AS d3, CAST(a AS DECIMAL(10, 2)) / CAST(4 AS DECIMAL(3, 1)) AS d4,
  a + 1 AS i, ROUND(b, 2) AS r, CEIL(a) AS c, FLOOR(a) AS f, ABS(a) AS s, -a AS n
FROM money;
