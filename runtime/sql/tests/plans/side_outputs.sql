SET 'table.exec.state.ttl' = '1 h';
SET table.exec.state.ttl.domain = event-time;
SET 'table.exec.window.allow-lateness' = '5 s';
CREATE TABLE late (operator STRING, event_time TIMESTAMP(3), `row` STRING) WITH ('connector' = 'print');
CREATE TABLE dead (source STRING, position STRING, error STRING, record BYTES) WITH ('connector' = 'print');
CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'x', 'on-error' = 'dead-letter', 'dead-letter.table' = 'dead',
  'late-rows.table' = 'late', 'scan.watermark.idle-timeout' = '30 s');
CREATE TABLE latest (k STRING, v INT, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'print');
EXECUTE STATEMENT SET BEGIN
  SELECT k, window_end, SUM(v) FROM TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '1' DAY, INTERVAL '30' MINUTE))
  GROUP BY k, window_start, window_end;
  INSERT INTO latest SELECT /*+ STATE_TTL('a' = '1 d', 'b' = '0 s') */ a.k, a.v, b.n
  FROM t AS a JOIN (SELECT k, COUNT(*) AS n FROM t GROUP BY k) AS b ON a.k = b.k;
END;
