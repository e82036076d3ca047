CREATE TABLE a (id BIGINT, k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = 'a');
CREATE TABLE b (id BIGINT NOT NULL, k STRING, w INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = 'b');
CREATE TABLE c (id BIGINT, x INT) WITH ('connector' = 'filesystem', 'path' = 'c');
-- Comma joins in an order without equalities, a filter on one side, a residual.
SELECT a.v, b.w, c.x FROM a, b, c WHERE a.id = c.id AND c.x = b.w AND a.v + b.w > 5 AND a.k = 'y';
-- NOT IN without NULLs joins keys; with NULLs every row decides.
SELECT id FROM a WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM b);
SELECT id FROM a WHERE id NOT IN (SELECT id FROM c WHERE x > 1);
-- Correlated EXISTS, and IN with a condition.
SELECT v FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = a.id AND b.w > a.v AND b.w < 9);
SELECT v FROM a WHERE NOT EXISTS (SELECT * FROM b WHERE b.k = a.k);
-- Bounds of the time on both sides; one side only.
SELECT a.v, b.w FROM a JOIN b ON a.id = b.id AND a.ts >= b.ts AND a.ts < b.ts + INTERVAL '1' HOUR;
SELECT a.v, b.w FROM a LEFT JOIN b ON a.id = b.id AND a.ts >= b.ts AND b.w > 3 AND a.v > 1;
-- Order and limit of everything; first rows per key by time.
SELECT k, v FROM a ORDER BY v DESC, k LIMIT 3;
SELECT DISTINCT k FROM a;
SELECT k, COUNT(DISTINCT v) FILTER (WHERE v > 1), LISTAGG(k, '|') FROM a GROUP BY k HAVING COUNT(*) > 2;
SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS rn FROM a) WHERE rn = 1 AND v > 0;
