-- Every row with all places that hold it, if it has a position.
-- Input: source. Parts: ${columns}, ${names}, ${ra}, ${dec}, ${where}. Parameters: $frame VARCHAR, $plan BINARY.
-- Output: the columns of the source, block LIST of INT: its places (see places_of).
SELECT ${names}, block
FROM (SELECT ${columns}, places_of(sky_position($frame, ${ra}, ${dec}), $plan) AS block FROM source)
${where}
