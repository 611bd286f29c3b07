-- Edits of the French Wikipedia in windows of an hour, one every 5 minutes.
CREATE UNBOUNDED EXTERNAL TABLE changes (title VARCHAR, "user" VARCHAR, bot BOOLEAN, "timestamp" TIMESTAMP(0),
  wiki VARCHAR, type VARCHAR)
STORED AS JSON LOCATION '${changes:-tcp://127.0.0.1:10003}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT window_start, count(*) AS n
FROM HOP(changes, "timestamp", INTERVAL '5 minutes', INTERVAL '1 hour')
WHERE wiki = 'frwiki' AND type = 'edit' GROUP BY 1 ORDER BY 1;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
