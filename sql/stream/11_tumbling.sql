-- Rows in each window of 5 seconds.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT window_start, count(*) AS n
FROM TUMBLE(iot_ok, "Creation_Time", INTERVAL '5 seconds') GROUP BY 1 ORDER BY 1;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
