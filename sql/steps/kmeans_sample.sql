-- The distinct rows of lowest hash with their multiplicity, per partition, to draw seeds from.
-- Input: points(partition_number INT where ${keys} names it, the used columns).
-- Parameters: $model BINARY (the box only), $seed BIGINT, $limit BIGINT. Parts: ${keys}, ${columns}, ${group_by}.
-- Output: partition_number where asked for, sample (see sample_rows).
SELECT ${keys} sample_rows($model, $seed, $limit, ${columns}) AS sample
FROM points
${group_by}
