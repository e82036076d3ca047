-- Common string functions, also over NULL, empty and non-ASCII text.

CREATE TABLE texts (
  id INT,
  s STRING,
  n INT,
  d DOUBLE,
  b BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/texts.csv',
  'format' = 'csv', 'csv.null-literal' = 'NA'
);

SELECT id, UPPER(s) AS a, LOWER(s) AS b, CHAR_LENGTH(s) AS c, TRIM(s) AS e, LTRIM(s) AS f, RTRIM(s) AS g,
  SUBSTRING(s FROM 2 FOR 3) AS h, SUBSTRING(s, 3) AS i, REPLACE(s, 'l', 'L') AS j, REVERSE(s) AS k, POSITION('o' IN s) AS m,
  LEFT(s, 2) AS o, RIGHT(s, 2) AS p, REPEAT(s, 2) AS q
FROM texts;
