-- Rows in each window of 5 seconds, kept as Parquet: each window once, when no more rows can come to it.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}'
OPTIONS ('event_time' '"Creation_Time"', 'watermark' '1 second');
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE EXTERNAL TABLE windows STORED AS PARQUET LOCATION '${out:-./windows}'
OPTIONS ('mode' 'append', 'trigger' '5 seconds');
INSERT INTO windows
SELECT window_start, count(*) AS n FROM TUMBLE(iot_ok, "Creation_Time", INTERVAL '5 seconds') GROUP BY 1;
CALL wait('${seconds:-20} seconds');
CALL stop(windows);
SELECT * FROM '${out:-./windows}' ORDER BY window_start;
