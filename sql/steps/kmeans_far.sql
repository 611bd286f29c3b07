-- The distinct rows farthest from all centroids of one model, per partition, for empty clusters.
-- Input: points(partition_number INT where ${keys} names it, the used columns).
-- Parameters: $model BINARY, $limit BIGINT. Parts: ${keys}, ${columns}, ${group_by}.
-- Output: partition_number where asked for, far (see farthest_rows).
SELECT ${keys} farthest_rows($model, $limit, ${columns}) AS far
FROM points
${group_by}
