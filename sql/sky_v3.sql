-- The sky by preset v3: a grid in ecliptic coordinates, with margins.
--
-- Needs nothing. Writes two datasets: ${out}/sky and ${out}/v3. Variables: rows of the sky, the number
-- of one source, and the radius in which to look for its neighbours.
--   pleiad run sql/sky_v3.sql --set out=demo --set rows=100000 --set source=7 --set arcsec=10

CALL generate(sky, '${out}/sky', rows => ${rows}, mode => 'overwrite', into => 'all');

CALL partition(
  input => '${out}/sky',
  out => '${out}/v3',
  preset => v3,
  blocks => 20,
  margin_arcsec => ${arcsec},
  mode => 'overwrite',
  into => 'sky'
);

-- The blocks with the most rows. Every source is an own row of one block; margin rows are copies.
SELECT block, own_rows, margin_rows, round(lon_min, 3) AS lon_min, round(lat_min, 3) AS lat_min
FROM '${out}/v3/blocks.csv'
ORDER BY own_rows DESC, block
LIMIT 5;

-- The search below is complete if no margin is narrower than its radius.
SELECT min(margin_radius_arcsec) >= ${arcsec} AS complete FROM '${out}/v3/blocks.csv';

-- The neighbours of a source are own or margin rows of its block. No other block is read.
CREATE VIEW source AS
SELECT block, ra, decl FROM sky_blocks WHERE "sourceId" = ${source};

CREATE VIEW near AS
SELECT block, "sourceId", ra, decl, 'own' AS row FROM sky_blocks
UNION ALL
SELECT block, "sourceId", ra, decl, 'margin' AS row FROM sky_margins;

SELECT near."sourceId", near.row,
       round(3600 * angular_distance(near.ra, near.decl, source.ra, source.decl), 3) AS arcsec
FROM near
JOIN source ON near.block = source.block
WHERE angular_distance(near.ra, near.decl, source.ra, source.decl) <= ${arcsec} / 3600.0
ORDER BY arcsec, near."sourceId";
