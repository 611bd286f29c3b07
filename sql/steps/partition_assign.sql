-- Every row with a position, once for each place that holds it.
-- Input: source. Parts: ${columns}, ${names}, ${ra}, ${dec}. Parameters: $frame VARCHAR, $plan BINARY.
-- Output: the columns of the source, block INT: a place (see places_of).
SELECT ${names}, unnest("sky places") AS block
FROM (
  SELECT ${columns}, places_of(sky_position($frame, ${ra}, ${dec}), $plan) AS "sky places"
  FROM source
)
