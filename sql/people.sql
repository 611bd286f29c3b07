-- k-means: make tables of people, count them, find clusters, and use the model in a query.
--
-- Needs nothing. Writes two datasets: ${out}/people and ${out}/clusters.
--   pleiad run sql/people.sql --set out=demo --set rows=100000
--   pleiad run sql/people.sql --set out=s3://bucket/demo --set rows=100000 --mode overwrite

CALL generate(people, '${out}/people', rows => ${rows}, into => 'people');

-- Each table is partitioned by id_pref.
SELECT id_pref, count(*) AS people, round(avg(age), 2) AS mean_age
FROM people_table1
GROUP BY id_pref
ORDER BY id_pref;

-- One model of seven clusters over all partitions of the three tables.
CALL kmeans(
  input => '${out}/people',
  out => '${out}/clusters',
  columns => ['age', 'weight', 'shoulder_circumference'],
  k => 7,
  starts => 1,
  diagnose => true,
  into => 'clusters'
);

-- How much averaging the means of the partitions would have cost instead, in percent.
SELECT k, round(cost, 1) AS cost, round(unweighted_cost, 1) AS naive_cost,
       round(100 * unweighted_excess, 1) AS gap_percent
FROM clusters_diagnosis;

-- The centroids as one list, and the cluster of each person in table1.
CREATE VIEW centroids AS
SELECT array_agg([c_age, c_weight, c_shoulder_circumference] ORDER BY "cluster") AS list
FROM clusters_model
WHERE model = 0;

SELECT nearest_centroid((SELECT list FROM centroids), age, weight, shoulder_circumference)
         AS "cluster",
       count(*) AS people,
       round(avg(age), 1) AS mean_age,
       round(avg(weight), 1) AS mean_weight
FROM people_table1
GROUP BY 1
ORDER BY 1;
