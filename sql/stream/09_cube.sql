-- Means of the acceleration by activity, by model, by both, and of all.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT gt, "Model", count(*) AS n, avg(x) AS x, avg(y) AS y, avg(z) AS z
FROM iot_ok GROUP BY CUBE (gt, "Model") ORDER BY gt, "Model";
CALL wait('${seconds:-10} seconds');
CALL stop(console);
