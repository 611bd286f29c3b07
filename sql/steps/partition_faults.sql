-- How many rows have no position, by reason.
-- Input: source. Parts: ${fault}.
-- Output: reason VARCHAR, rows BIGINT.
SELECT reason, count(*) AS rows
FROM (SELECT ${fault} AS reason FROM source)
WHERE reason IS NOT NULL
GROUP BY reason
