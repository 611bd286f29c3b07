-- Lines as they come, each a row.
CREATE UNBOUNDED EXTERNAL TABLE raw (value VARCHAR) STORED AS TEXT LOCATION '${iot:-tcp://127.0.0.1:9999}';
DESCRIBE raw;
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'append', 'trigger' '3 seconds');
INSERT INTO console
SELECT * FROM raw;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
