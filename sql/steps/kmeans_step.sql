-- One step of Lloyd's algorithm for several models at once: per partition, the exact sums of the
-- rows nearest to each centroid.
-- Input: points(partition_number INT where ${keys} names it, the used columns).
-- Parameters: $model BINARY. Parts: ${keys}, ${columns}, ${group_by}.
-- Output: partition_number where asked for, sums (see centroid_sums).
SELECT ${keys} centroid_sums($model, ${columns}) AS sums
FROM points
${group_by}
