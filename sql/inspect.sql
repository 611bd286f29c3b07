-- Look at a table: its columns, how many rows, the first few, and how a query reads it.
--
-- Needs a table: a Parquet or CSV file, a directory, or a table of a dataset, local or on S3.
--   pleiad run sql/inspect.sql --set table=s3://bucket/people/table1
--   pleiad run sql/inspect.sql --set table=./usagers.csv

DESCRIBE '${table}';

SELECT count(*) AS rows FROM '${table}';

SELECT * FROM '${table}' LIMIT 5;

-- The setting that decides how many streams run at once.
SHOW datafusion.execution.target_partitions;

-- What a query will read.
EXPLAIN SELECT count(*) FROM '${table}';
