CREATE TABLE t (a INT, b BIGINT, s STRING, d DECIMAL(10, 2)) WITH ('connector' = 'datagen');
CREATE TEMPORARY VIEW v AS SELECT a, b + a AS c, d * 2 AS dd, s FROM t WHERE s LIKE 'x%';
SELECT c, CASE WHEN a > 1 THEN 'x' ELSE s END, dd / 3, 1.5 * c FROM v WHERE a BETWEEN 1 AND 5 OR a IS NULL;
