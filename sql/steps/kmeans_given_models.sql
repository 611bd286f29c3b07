-- First centroids from the table model of an earlier result, in the order of their numbers.
-- Input: given(model, cluster, cost, the columns named c_...). Parts: ${columns}.
-- Output: model BIGINT, cost DOUBLE, then the columns, as they are.
SELECT CAST(model AS BIGINT) AS model, CAST(cost AS DOUBLE) AS cost, ${columns}
FROM given
ORDER BY model, cluster
