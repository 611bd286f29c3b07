-- Rows of each user, counted before the join: less is joined, the answer is the same.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR,
  "Index" BIGINT, "Model" VARCHAR, "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}';
CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
CREATE EXTERNAL TABLE users STORED AS CSV LOCATION '${users:-data/stream/users.csv}'
OPTIONS ('delimiter' ';', 'has_header' 'true');
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT "User", "FirstName", "LastName", n
FROM (SELECT "User", count(*) AS n FROM iot_ok GROUP BY 1) JOIN users USING ("User") ORDER BY 1;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
