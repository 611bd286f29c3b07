-- Every row with the block that owns it, if it has a position.
-- Input: source. Parts: ${columns}, ${names}, ${ra}, ${dec}, ${where}. Parameters: $frame VARCHAR, $plan BINARY.
-- Output: the columns of the source, block INT.
SELECT ${names}, block
FROM (SELECT ${columns}, block_of(sky_position($frame, ${ra}, ${dec}), $plan) AS block FROM source)
${where}
