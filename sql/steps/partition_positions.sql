-- Every position in the frame of the grid; both NULL where a row has none.
-- Input: source. Parts: ${ra}, ${dec}. Parameters: $frame VARCHAR.
-- Output: lon DOUBLE, lat DOUBLE.
SELECT p['lon'] AS lon, p['lat'] AS lat
FROM (SELECT sky_position($frame, ${ra}, ${dec}) AS p FROM source)
