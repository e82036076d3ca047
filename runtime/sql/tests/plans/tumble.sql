CREATE TABLE flights (
  `year` INT, origin STRING, dest STRING, dep_delay INT, carrier STRING,
  time_hour TIMESTAMP(0),
  WATERMARK FOR time_hour AS time_hour - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = 'flights.csv', 'format' = 'csv');

CREATE TABLE hourly (
  origin STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, total BIGINT, worst INT
) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv');

INSERT INTO hourly
SELECT origin, window_start, window_end, COUNT(*), SUM(CAST(dep_delay AS BIGINT)), MAX(dep_delay)
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
WHERE dep_delay IS NOT NULL
GROUP BY origin, window_start, window_end
HAVING COUNT(*) > 1;
