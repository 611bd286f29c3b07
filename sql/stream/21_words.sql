-- Words that each character of a play has said. Two blanks make an empty word, which counts.
CREATE UNBOUNDED EXTERNAL TABLE quotes (character VARCHAR, quote VARCHAR)
STORED AS JSON LOCATION '${quotes:-tcp://127.0.0.1:10001}';
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'
OPTIONS ('mode' 'complete', 'trigger' '5 seconds');
INSERT INTO console
SELECT character, count(*) AS words
FROM (SELECT character, unnest(string_to_array(quote, ' ')) FROM quotes) GROUP BY 1 ORDER BY 1;
CALL wait('${seconds:-10} seconds');
CALL stop(console);
