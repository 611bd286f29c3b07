-- DBSCAN: make points, choose eps, find clusters, and look at them.
--
-- Needs nothing. Writes two datasets: ${out}/points and ${out}/clusters.
--   pleiad run sql/dbscan.sql --set out=demo --set rows=100000
--   pleiad run sql/dbscan.sql --set out=s3://bucket/demo --set rows=100000 --mode overwrite

CALL generate(shapes, '${out}/points', shape => 'moons', rows => ${rows}, into => 'points');

-- The distances to the eighth nearest row. The knee of this curve is often a good eps.
CALL kdistance('${out}/points', x => 'x', y => 'y', min_points => 8);

-- One label per row, in the order of the input. `keep` copies columns of the input beside the labels.
CALL dbscan(
  input => '${out}/points',
  out => '${out}/clusters',
  x => 'x',
  y => 'y',
  eps => 10,
  min_points => 8,
  keep => ['x', 'y', 'truth'],
  into => 'found'
);

-- The largest clusters, and where they are.
SELECT cluster, "rows", cores, round(x_min, 1) AS x_min, round(x_max, 1) AS x_max
FROM found_clusters
ORDER BY "rows" DESC, cluster
LIMIT 10;

-- Core rows make up a cluster, border rows belong to the first cluster near them, noise belongs to none.
SELECT kind, count(*) AS points FROM found_labels GROUP BY kind ORDER BY kind;

-- Which true shape each cluster is.
SELECT cluster, truth, count(*) AS points
FROM found_labels
GROUP BY cluster, truth
ORDER BY points DESC, cluster, truth
LIMIT 10;
