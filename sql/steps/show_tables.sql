-- The tables and views that statements have made known.
-- Input: the engine's information_schema.
-- Output: name TEXT, kind TEXT (TABLE or VIEW), by name.
SELECT
  table_name AS name,
  CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS kind
FROM information_schema.tables
WHERE table_schema <> 'information_schema'
ORDER BY table_name
