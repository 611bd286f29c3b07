-- Changes of the pages on a list.
CREATE UNBOUNDED EXTERNAL TABLE changes (title VARCHAR, "user" VARCHAR, bot BOOLEAN, "timestamp" TIMESTAMP(0),
  wiki VARCHAR, type VARCHAR)
STORED AS JSON LOCATION '${changes:-tcp://127.0.0.1:10003}';
CREATE EXTERNAL TABLE pages STORED AS CSV LOCATION '${pages:-data/stream/pages.csv}' OPTIONS ('has_header' 'true');
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT count(*) AS n FROM changes WHERE title IN (SELECT "articleName" FROM pages);
CALL wait('${seconds:-10} seconds');
CALL stop(console);
