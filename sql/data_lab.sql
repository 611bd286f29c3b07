-- The data lab exercise: query two CSV files in a bucket, and store one of them as Parquet.
--
-- Needs usagers-2022.csv and vehicules.csv in the bucket, from the road accident data of data.gouv.fr.
-- Writes usagers.parquet beside them.
--   pleiad run sql/data_lab.sql --set bucket=<user>

CREATE EXTERNAL TABLE usagers STORED AS CSV LOCATION 's3://${bucket}/usagers-2022.csv';
CREATE EXTERNAL TABLE vehicules STORED AS CSV LOCATION 's3://${bucket}/vehicules.csv';

-- Pleiad finds delimiter and types by reading the whole files. Codes such as 07 stay text.
DESCRIBE usagers;
DESCRIBE vehicules;

SELECT count(*) AS people FROM usagers;

SELECT grav, count(*) AS people FROM usagers GROUP BY grav ORDER BY people DESC;

-- Put names with capital letters in quotes.
SELECT vehicles, count(*) AS accidents
FROM (SELECT "Num_Acc", count(*) AS vehicles FROM vehicules GROUP BY "Num_Acc")
GROUP BY vehicles
ORDER BY vehicles
LIMIT 4;

-- Parquet is smaller, has types, and a query reads only the columns that it names.
COPY (SELECT * FROM usagers) TO 's3://${bucket}/usagers.parquet' OPTIONS ('mode' 'overwrite');

SELECT count(*) AS people FROM 's3://${bucket}/usagers.parquet' WHERE actp = 'B';
