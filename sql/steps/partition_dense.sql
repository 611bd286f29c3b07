-- The box around the rows of some blocks, longitudes cut at $cut.
-- Input: positions(lon DOUBLE, lat DOUBLE). Parameters: $plan BINARY, $cut DOUBLE. Parts: ${blocks}.
-- Output: block INT, extent (see extent): of lon, of lon less 360 from the cut on, of lat.
SELECT block, extent(lon, CASE WHEN lon >= $cut THEN lon - 360 ELSE lon END, lat) AS extent
FROM (SELECT block_of(lon, lat, $plan) AS block, lon, lat FROM positions)
WHERE block IN (${blocks})
GROUP BY block
