-- The sky by preset v1: a plain grid without margins, and what that misses.
--
-- Needs nothing. Writes two datasets: ${out}/sky and ${out}/v1. Variables: rows of the sky, the number
-- of one source, and the radius in which to look for its neighbours.
--   pleiad run sql/sky_v1.sql --set out=demo --set rows=100000 --set source=7 --set arcsec=10

CALL generate(sky, '${out}/sky', rows => ${rows}, mode => 'overwrite', into => 'all');

CALL partition(
  input => '${out}/sky',
  out => '${out}/v1',
  preset => v1,
  blocks => 20,
  mode => 'overwrite',
  into => 'sky'
);

-- The blocks with the most rows. Every source is an own row of one block; margin rows are copies.
SELECT block, own_rows, margin_rows, round(lon_min, 3) AS lon_min, round(lat_min, 3) AS lat_min
FROM '${out}/v1/blocks.csv'
ORDER BY own_rows DESC, block
LIMIT 5;

-- A plain grid has no margins: a search in one block misses the neighbours in other blocks.
CREATE VIEW source AS
SELECT block, ra, decl FROM sky_blocks WHERE "sourceId" = ${source};

SELECT (SELECT count(*) FROM sky_blocks AS near JOIN source ON near.block = source.block
        WHERE angular_distance(near.ra, near.decl, source.ra, source.decl) <= ${arcsec} / 3600.0)
         AS in_the_block,
       (SELECT count(*) FROM all_sky AS near CROSS JOIN source
        WHERE angular_distance(near.ra, near.decl, source.ra, source.decl) <= ${arcsec} / 3600.0)
         AS in_the_sky;
