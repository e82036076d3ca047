-- Hourly delays with the weather of the hour: a regular join over a window aggregate.
-- The weather comes station by station, each a month long: its disorder is a month.

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

CREATE TABLE weather (
  origin STRING, `year` INT, `month` INT, `day` INT, `hour` INT, temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir INT,
  wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, time_hour STRING,
  ts AS TO_TIMESTAMP(time_hour, 'yyyy-MM-dd''T''HH:mm:ss''Z'''),
  WATERMARK FOR ts AS ts - INTERVAL '40' DAY
) WITH (
  'connector' = 'filesystem',
  'path' = '${FLIGHTS}/weather-2013-01.csv',
  'format' = 'csv', 'csv.header' = 'true', 'csv.null-literal' = 'NA'
);

SELECT f.origin, f.window_start, f.c, f.delay, w.wind_speed > 15 AS windy, w.visib < 5 AS foggy FROM
  (SELECT origin, window_start, COUNT(*) AS c, SUM(dep_delay) AS delay FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY origin, window_start, window_end) f
  JOIN weather w ON f.origin = w.origin AND f.window_start = w.ts WHERE w.precip > 0;
