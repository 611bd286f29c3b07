-- The used columns of all rows, to be held in memory.
-- Input: points(partition_number INT, the used columns). Parts: ${columns}.
-- Output: partition_number, then the used columns.
SELECT partition_number, ${columns}
FROM points
