-- What the margin of each block must hold: rows, and sums of their positions in millionths of a degree.
-- Input: own(block INT, lon DOUBLE, lat DOUBLE). Parameters: $plan BINARY.
-- Output: block INT, rows BIGINT, lons BIGINT, lats BIGINT.
SELECT CAST(place / 2 AS INT) AS block, count(*) AS rows,
  sum(CAST(lon * 1e6 AS BIGINT)) AS lons, sum(CAST(lat * 1e6 AS BIGINT)) AS lats
FROM (SELECT lon, lat, unnest(places_of(lon, lat, $plan)) AS place FROM own)
WHERE place % 2 = 1
GROUP BY place
