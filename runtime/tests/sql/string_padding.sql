-- LPAD, RPAD, OVERLAY, INITCAP, ASCII, CHR, INSTR, LOCATE. Flink ends a word at a letter beyond ASCII (GrüßE): left out.

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

SELECT id, LPAD(s, 8, '*') AS a, RPAD(s, 8, '-') AS b, OVERLAY(s PLACING '##' FROM 2 FOR 3) AS c, INITCAP(CASE WHEN id <> 7 THEN s END) AS e,
  ASCII(s) AS f, CHR(65 + id) AS g, INSTR(s, 'l') AS h, LOCATE('o', s, 6) AS i
FROM texts;
