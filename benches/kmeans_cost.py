"""scikit-learn's inertia after 20 steps from the centroids of a CSV file: python kmeans_cost.py DIR START.csv

The start of the timed runs has thousands of rows exactly between two centroids. Those rows go to the
lower cluster here, and wherever rounding leads in scikit-learn, which computes |c|^2 - 2xc; so its
way parts from the exact one at the first step. From a start without ties both go the same way.
"""
import glob
import sys

import numpy as np
import pyarrow.dataset as ds
from sklearn.cluster import KMeans

folder, start = sys.argv[1:]
columns = ["age", "weight", "shoulder_circumference"]
table = ds.dataset(sorted(glob.glob(f"{folder}/people/*/*/*.parquet"))).to_table(columns=columns)
rows = np.column_stack([table[name].to_numpy() for name in columns]).astype("float64")
first = np.loadtxt(start, delimiter=",", skiprows=1)
model = KMeans(len(first), init=first, n_init=1, max_iter=20, tol=0, algorithm="lloyd").fit(rows)
print(repr(float(model.inertia_)))
