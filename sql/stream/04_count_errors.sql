-- How many rows are errors: they have times and nothing else.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '2 seconds');
INSERT INTO console
SELECT "Device" IS NULL AND "Index" IS NULL AND "Model" IS NULL AND "User" IS NULL AND gt IS NULL AS error,
  count(*) AS n
FROM iot GROUP BY 1;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
