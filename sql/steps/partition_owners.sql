-- How many rows of each block belong to which block by their position.
-- Input: own(block INT, lon DOUBLE, lat DOUBLE). Parameters: $plan BINARY.
-- Output: block INT, owner INT (NULL without a position in the grid), rows BIGINT.
SELECT block, owner, count(*) AS rows
FROM (SELECT block, block_of(lon, lat, $plan) AS owner FROM own)
GROUP BY block, owner
