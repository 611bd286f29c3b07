-- The block and the position of each row of a stored table, in the frame of the grid.
-- Input: stored. Parts: ${ra}, ${dec}. Parameters: $frame VARCHAR.
-- Output: block INT, lon DOUBLE, lat DOUBLE; both NULL where a row has no position.
SELECT block, p['lon'] AS lon, p['lat'] AS lat
FROM (SELECT block, sky_position($frame, ${ra}, ${dec}) AS p FROM stored)
