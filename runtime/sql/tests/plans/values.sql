CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'print');
INSERT INTO t VALUES (1, 'x'), (2, NULL), (30000000000, 'z');
INSERT INTO t SELECT 7, 'seven';
