-- How many rows were set aside, by reason.
-- Input: quarantine(reason VARCHAR, …).
-- Output: reason VARCHAR, rows BIGINT.
SELECT reason, count(*) AS rows
FROM quarantine
GROUP BY reason
