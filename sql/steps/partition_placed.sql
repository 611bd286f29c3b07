-- Every row, once for each place it was given, in the order of places.
-- Input: placed(the columns of the source, "sky places" LIST of INT). Parts: ${names}.
-- Output: the columns of the source, block INT: a place.
SELECT ${names}, unnest("sky places") AS block
FROM placed
ORDER BY block
