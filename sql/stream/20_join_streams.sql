-- What phone and watch of a user sent, each with each. It keeps the rows of both streams.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE UNBOUNDED EXTERNAL TABLE bpm ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, bpm BIGINT)
STORED AS JSON LOCATION '${bpm:-tcp://127.0.0.1:10000}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'append', 'trigger' '10 seconds');
INSERT INTO console
SELECT * FROM iot_ok JOIN drop_nulls(bpm) USING ("User");
CALL wait('${seconds:-20} seconds');
CALL stop(console);
