-- The same on the console: each batch shows the activities that it touched.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'update', 'trigger' '2 seconds');
INSERT INTO console
SELECT gt, count(*) AS n FROM iot_ok GROUP BY gt;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
