-- The time at which a row was made, from a number of nanoseconds.
CREATE UNBOUNDED EXTERNAL TABLE iot ("Creation_Time" BIGINT, gt VARCHAR)
STORED AS JSON LOCATION '${iot:-tcp://127.0.0.1:9999}'
OPTIONS ('event_time' 'to_timestamp_nanos("Creation_Time")');
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'append', 'trigger' '5 seconds');
INSERT INTO console
SELECT event_time, "Creation_Time", gt FROM iot;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
