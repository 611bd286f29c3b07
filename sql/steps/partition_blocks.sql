-- Every row with a position, with the block that owns it.
-- Input: source. Parts: ${columns}, ${names}, ${ra}, ${dec}. Parameters: $frame VARCHAR, $plan BINARY.
-- Output: the columns of the source, block INT.
SELECT ${names}, block
FROM (SELECT ${columns}, block_of(sky_position($frame, ${ra}, ${dec}), $plan) AS block FROM source)
WHERE block IS NOT NULL
