-- Every row without a position, with the reason.
-- Input: source. Parts: ${columns}, ${names}, ${fault}.
-- Output: the columns of the source, reason VARCHAR.
SELECT ${names}, reason
FROM (SELECT ${columns}, ${fault} AS reason FROM source)
WHERE reason IS NOT NULL
