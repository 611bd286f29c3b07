#!/usr/bin/env bash
# Queries over the sky of DIR: our session and the engine's own defaults in one process, in turn, then
# DuckDB; and whole processes of `pleiad sql`.
#   bash benches/query.sh DIR [PYTHON]
# DIR is what ../shared/bench/peers/make_data.py wrote (--only sky); PYTHON has duckdb.
set -euo pipefail
dir=$1 python=${2:-python3}
cargo build --release
cargo bench --bench query -- "$dir/sky"
"$python" - "$dir/sky/*.parquet" << 'EOF'
import sys, time
import duckdb

for query in [
    "SELECT count(*) FROM t",
    "SELECT floor(decl / 10) AS band, count(*) AS n, avg(snr) AS snr FROM t GROUP BY 1 ORDER BY 1",
    "SELECT count(*) AS n, max(ra) AS ra FROM t WHERE snr > 50",
]:
    for round in range(1, 6):
        started = time.perf_counter()
        rows = duckdb.connect().sql(query.replace("FROM t", f"FROM '{sys.argv[1]}'")).fetchall()
        print(f"{query}: round {round}, duckdb: {time.perf_counter() - started:.3f} s")
    print(rows)
EOF
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
for round in 1 2 3; do
    /usr/bin/time -f "SELECT 1, whole process: %e s, %M KiB resident" "$pleiad" -q sql -c "SELECT 1" > /dev/null
done
