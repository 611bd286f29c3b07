-- What changes in the wikis, as it changes.
CREATE UNBOUNDED EXTERNAL TABLE changes (title VARCHAR, "user" VARCHAR, bot BOOLEAN, "timestamp" TIMESTAMP(0),
  wiki VARCHAR, type VARCHAR)
STORED AS JSON LOCATION '${changes:-tcp://127.0.0.1:10003}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'append', 'trigger' '5 seconds');
INSERT INTO console
SELECT title, "user", bot, "timestamp", wiki FROM changes;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
