-- Range and unusable values of each used column, per partition.
-- Input: points(partition_number INT where ${keys} names it, the used columns).
-- Parts: ${keys}, ${columns}, ${group_by}.
-- Output: partition_number where asked for, extent (see extent).
SELECT ${keys} extent(${columns}) AS extent
FROM points
${group_by}
