-- Full names by a join, totals by an aggregate over it.

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

CREATE TABLE airlines (carrier STRING, name STRING) WITH (
  'connector' = 'filesystem',
  'path' = '${FLIGHTS}/airlines.csv',
  'format' = 'csv', 'csv.header' = 'true'
);

SELECT a.name, COUNT(*) AS c, SUM(f.distance) AS miles, COUNT(DISTINCT f.dest) AS places
FROM flights f LEFT JOIN airlines a ON f.carrier = a.carrier GROUP BY a.name;
