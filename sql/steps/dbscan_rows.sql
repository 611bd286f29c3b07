-- Every row with its coordinates, as many streams as there are.
-- Input: points. Parts: ${coordinates}, ${row}: the number of a row in the input.
-- Output: coordinates DOUBLE, then id BIGINT if there is one, then row BIGINT.
SELECT ${coordinates}, ${row} AS "row" FROM points
