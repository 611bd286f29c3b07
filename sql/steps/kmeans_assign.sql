-- Every row of one table with its cluster and distance under one model.
-- Input: ${source}(the table as it is stored).
-- Parameters: $model BINARY, $table TEXT where ${keys} uses it. Parts: ${keys}, ${columns}, ${unit}
-- (a factor that makes it the user's distance, or nothing), ${source}.
-- Output: the table's name where ${keys} asks for it, all columns, cluster INT, distance DOUBLE.
SELECT
  ${keys} *,
  nearest_centroid($model, ${columns}) AS cluster,
  nearest_centroid_distance($model, ${columns})${unit} AS distance
FROM ${source}
