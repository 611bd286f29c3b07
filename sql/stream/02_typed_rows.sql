-- The same lines as rows with types. A line that is not an object is a row of NULLs.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'append', 'trigger' '5 seconds');
INSERT INTO console
SELECT * FROM iot;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
