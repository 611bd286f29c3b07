-- The box around all positions, with longitudes as they are and cut at $cut.
-- Input: positions(lon DOUBLE, lat DOUBLE). Parameters: $cut DOUBLE.
-- Output: extent (see extent): of lon, of lon less 360 from the cut on, of lat.
SELECT extent(lon, CASE WHEN lon >= $cut THEN lon - 360 ELSE lon END, lat) AS extent
FROM positions
