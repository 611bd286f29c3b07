-- How many rows each cluster got, and how far the farthest is.
-- Input: predicted (any columns, cluster INT, distance DOUBLE).
-- Output: cluster INT, rows BIGINT, max_distance DOUBLE.
SELECT
  cluster,
  count(*) AS rows,
  max(distance) AS max_distance
FROM predicted
GROUP BY cluster
ORDER BY cluster
