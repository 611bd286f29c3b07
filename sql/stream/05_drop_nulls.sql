-- The rows without errors: no column is NULL, or none of two.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '2 seconds');
INSERT INTO console
SELECT count(*) AS n FROM drop_nulls(iot);
CALL wait('${seconds:-10} seconds');
CALL stop(console);
