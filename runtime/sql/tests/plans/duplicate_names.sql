CREATE TABLE a (id BIGINT, v STRING) WITH ('connector' = 'datagen');
CREATE TABLE b (id BIGINT, w STRING) WITH ('connector' = 'datagen');
SELECT id0, v, w FROM (SELECT a.id, b.id, v, w, v FROM a JOIN b ON a.id = b.id);
