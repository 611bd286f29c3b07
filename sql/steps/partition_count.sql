-- Rows in each block of a plan, or in each cell of a finer counting.
-- Input: positions(lon DOUBLE, lat DOUBLE). Parameters: $cells BINARY.
-- Output: rows, rows with a position, counts (see block_counts).
SELECT count(*) AS rows, count(lon) AS usable, block_counts($cells, lon, lat) AS counts
FROM positions
