#!/usr/bin/env bash
# Statements over one CSV file of about 1 GB, each by a new process of `pleiad sql` and by a new connection of
# DuckDB, in turn; then the file as Parquet, and as blocks of the sky.
#   bash benches/csv.sh DIR [PYTHON]
# DIR gets the file if it is not there; PYTHON has duckdb.
set -euo pipefail
dir=$1 python=${2:-python3}
cargo build --release
"$python" - "${CARGO_TARGET_DIR:-target}/release/pleiad" "$dir" << 'PYTHON'
import os, shutil, statistics, subprocess, sys, time
import duckdb

pleiad, directory = sys.argv[1:]
os.makedirs(directory, exist_ok=True)
file, rounds, threads = f"{directory}/rows.csv", 3, os.cpu_count()

def connect():
    connection = duckdb.connect()
    connection.sql(f"SET threads = {threads}")
    return connection

if not os.path.exists(file):
    connection = connect()
    connection.sql("SELECT setseed(0.5)")
    connection.sql(f"""COPY (
        SELECT i AS id, random() * 360 AS ra, random() * 180 - 90 AS dec, (random() * 99)::INT AS age,
               round(random() * 1000, 2) AS price, round(40 + random() * 80, 1) AS weight,
               TIMESTAMP '2024-01-01' + to_seconds((random() * 31622400)::INT) AS at,
               ['Paris', 'London', 'New York', 'Berlin', 'Oslo', 'Rome', 'Madrid', 'Lisbon'][1 + (random() * 7)::INT] AS city,
               'user-' || (random() * 100000)::INT AS name
        FROM range(10000000) t(i)) TO '{file}.new' (FORMAT csv, HEADER)""")
    os.rename(f"{file}.new", file)

def ours(*arguments):
    def run():
        subprocess.run([pleiad, "-q", *arguments], check=True, stdout=subprocess.DEVNULL)
    return run

def theirs(statement):
    def run():
        connect().execute(statement).fetchall()
    return run

def compare(what, *systems, before=lambda: None):
    seconds = {name: [] for name, _ in systems}
    for _ in range(rounds):
        for name, run in systems:
            before()
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    medians = [f"{name} {statistics.median(found):.2f} s" for name, found in seconds.items()]
    print(f"{what}: {', '.join(medians)}", flush=True)

print(f"{os.path.getsize(file) / 1e6:.0f} MB, {threads} threads, duckdb {duckdb.__version__}", flush=True)
for what, statement in {
    "count": "SELECT count(*) FROM t",
    "group by": "SELECT city, count(*), avg(price) FROM t GROUP BY city ORDER BY city",
    "filter": "SELECT count(*), max(ra) FROM t WHERE price > 900",
    "top n": "SELECT * FROM t ORDER BY price DESC, id LIMIT 10",
    "join": "SELECT a.city, count(*) FROM t AS a JOIN t AS b ON a.id = b.id WHERE b.age > 90 GROUP BY 1 ORDER BY 1",
}.items():
    statement = statement.replace("FROM t", f"FROM '{file}'").replace("JOIN t", f"JOIN '{file}'")
    compare(what, ("pleiad", ours("sql", "-c", statement)), ("duckdb", theirs(statement)))

def remove():
    for name in ("out", "theirs"):
        shutil.rmtree(f"{directory}/{name}", ignore_errors=True)
    for name in ("ours.parquet", "theirs.parquet"):
        if os.path.exists(f"{directory}/{name}"):
            os.remove(f"{directory}/{name}")

compare(
    "copy to Parquet",
    ("pleiad", ours("sql", "-c", f"COPY (SELECT * FROM '{file}') TO '{directory}/ours.parquet'")),
    ("duckdb", theirs(f"COPY (FROM '{file}') TO '{directory}/theirs.parquet' (FORMAT parquet, COMPRESSION zstd)")),
    before=remove,
)
cell = "(least(floor(ra / 22.5), 15) * 10 + least(floor((dec + 90) / 18), 9))::INT"
blocks = f"COPY (SELECT *, {cell} AS block FROM '{file}') TO '{directory}/theirs' (FORMAT parquet, PARTITION_BY (block), COMPRESSION zstd)"
compare(
    "partition --preset v1",
    ("pleiad", ours("partition", file, f"{directory}/out", "--preset", "v1")),
    ("duckdb", theirs(blocks)),
    before=remove,
)
remove()
PYTHON
