-- What the margin of each block holds, as partition_wanted.sql counts it, and how many of its rows
-- belong in no margin of the block.
-- Input: margins(block INT, lon DOUBLE, lat DOUBLE). Parameters: $plan BINARY.
-- Output: block INT, rows BIGINT, lons BIGINT, lats BIGINT, strangers BIGINT.
SELECT block, count(*) AS rows,
  sum(CAST(lon * 1e6 AS BIGINT)) AS lons, sum(CAST(lat * 1e6 AS BIGINT)) AS lats,
  count(*) FILTER (WHERE NOT coalesce(is_near, false)) AS strangers
FROM (
  SELECT block, lon, lat,
    array_has(places_of(lon, lat, $plan), CAST(2 * block + 1 AS INT)) AS is_near
  FROM margins
)
GROUP BY block
