-- Some columns of a table as numbers, for a picture.
-- Input: points(any columns). Parts: ${columns}.
-- Output: the columns, each DOUBLE; NULL where there is no number.
SELECT ${columns}
FROM points
