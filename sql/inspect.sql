-- What a table holds: columns, rows, a few of them, and how a query reads it.
--
-- Needs a table anywhere: a Parquet or CSV file, a directory, a table of a dataset.
--   pleiad run sql/inspect.sql --set table=s3://bucket/people/table1
--   pleiad run sql/inspect.sql --set table=./usagers.csv

DESCRIBE '${table}';

SELECT count(*) AS rows FROM '${table}';

SELECT * FROM '${table}' LIMIT 5;

-- The settings that decide how much runs at once.
SHOW datafusion.execution.target_partitions;

-- What is read, and what it costs.
EXPLAIN SELECT count(*) FROM '${table}';
