-- How often each activity came, as a view that any statement can read.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE MATERIALIZED VIEW activity WITH (trigger = '2 seconds') AS
SELECT gt, count(*) AS n FROM iot_ok GROUP BY gt;
CALL watch('SELECT * FROM activity ORDER BY gt', every => '1 second', times => ${times:-10});
DROP MATERIALIZED VIEW activity;
