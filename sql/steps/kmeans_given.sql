-- First centroids that a user wrote down, one a row.
-- Input: given(the columns). Parts: ${columns}.
-- Output: the columns, as they are.
SELECT ${columns}
FROM given
