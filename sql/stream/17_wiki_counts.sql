-- The wikis with the most changes.
CREATE UNBOUNDED EXTERNAL TABLE changes (title VARCHAR, "user" VARCHAR, bot BOOLEAN, "timestamp" TIMESTAMP(0),
  wiki VARCHAR, type VARCHAR)
STORED AS JSON LOCATION '${changes:-tcp://127.0.0.1:10003}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT wiki, count(*) AS n FROM changes GROUP BY wiki ORDER BY n DESC, wiki;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
