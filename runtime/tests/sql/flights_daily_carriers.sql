-- Per day and carrier: distinct aircraft, cancelled flights, mean delay.

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

SELECT window_start, carrier, COUNT(DISTINCT tailnum) AS aircraft, COUNT(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
  AVG(arr_delay) AS mean, MIN(arr_delay) AS best
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end, carrier;
