-- All rows so far as a table that is kept in memory.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE MATERIALIZED VIEW iot_data AS SELECT * FROM iot;
CALL watch('SELECT count(*) AS rows, max("Index") AS newest FROM iot_data', every => '1 second', times => ${times:-10});
DROP MATERIALIZED VIEW iot_data;
