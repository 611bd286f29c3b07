-- Every row with its coordinates as numbers, in the order of the input (one stream).
-- Input: source. Parts: ${columns}, ${ra}, ${dec}.
-- Output: the columns of the source, then right ascension and declination.
SELECT ${columns}, ${ra} AS "sky ra", ${dec} AS "sky dec"
FROM source
