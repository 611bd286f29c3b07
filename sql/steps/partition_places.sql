-- Rows in each place: the own rows of a block and its margin rows.
-- Input: positions(lon DOUBLE, lat DOUBLE). Parameters: $plan BINARY.
-- Output: place INT (see places_of), rows BIGINT.
SELECT place, count(*) AS rows
FROM (SELECT unnest(places_of(lon, lat, $plan)) AS place FROM positions)
GROUP BY place
