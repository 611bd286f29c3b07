-- What the figures of finished models are made of, for all models at once, per partition.
-- Input: points(partition_number INT where ${keys} names it, the used columns).
-- Parameters: $model BINARY. Parts: ${keys}, ${columns}, ${group_by}.
-- Output: partition_number where asked for, scores (see cluster_scores).
SELECT ${keys} cluster_scores($model, ${columns}) AS scores
FROM points
${group_by}
