-- Sessions of long delays per carrier.

CREATE TABLE flights (
  `year` INT, `month` INT, `day` INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT, sched_arr_time INT,
  arr_delay INT, carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, air_time INT, distance INT,
  `hour` INT, `minute` INT, time_hour STRING,
  ts AS TO_TIMESTAMP(time_hour, 'yyyy-MM-dd''T''HH:mm:ss''Z'''),
  WATERMARK FOR ts AS ts - INTERVAL '1' DAY
) WITH (
  'connector' = 'filesystem',
  'path' = '${FLIGHTS}/flights-2013-01.csv',
  'format' = 'csv', 'csv.header' = 'true', 'csv.null-literal' = 'NA'
);

CREATE VIEW late AS SELECT carrier, dep_delay, ts FROM flights WHERE dep_delay > 60;

SELECT carrier, window_start, window_end, COUNT(*) AS c, SUM(dep_delay) AS minutes FROM TABLE(SESSION(TABLE late PARTITION BY carrier, DESCRIPTOR(ts), INTERVAL '3' HOUR)) GROUP BY carrier, window_start, window_end;
