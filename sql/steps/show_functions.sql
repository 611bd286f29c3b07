-- The functions that SQL knows, for SHOW FUNCTIONS. That of the engine leaves out functions that take any
-- number of arguments.
-- In: information_schema.routines. Parameter: $pattern, a text as LIKE takes it.
-- Out: function_name, function_type, syntax_example, description.
SELECT DISTINCT routine_name AS function_name, function_type, syntax_example, description
FROM information_schema.routines
WHERE routine_name LIKE $pattern
ORDER BY 1
