#!/usr/bin/env bash
# The two queries of the streaming lab over DIR/iot/events.jsonl, cut in 30 files of which a batch takes one,
# available at once: by Pleiad and by Spark Structured Streaming in turn, three times, whole processes of ours,
# Spark without the start of its JVM. Then the time from a line on a socket to the answer that holds it.
#   bash benches/stream.sh DIR [PYTHON]
# DIR is what ../shared/bench/peers/make_data.py wrote (--only iot); PYTHON has pyspark.
set -euo pipefail
dir=$1 python=${2:-python3} shared=${PLEIAD_SHARED:-../shared/bench}
cargo build --release
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

lines=$(wc -l < "$dir/iot/events.jsonl")
mkdir "$scratch/iot"
split --lines=$((lines / 30 + 1)) --numeric-suffixes --additional-suffix=.json "$dir/iot/events.jsonl" "$scratch/iot/"

source="CREATE UNBOUNDED EXTERNAL TABLE iot (\"Arrival_Time\" TIMESTAMP, \"Creation_Time\" TIMESTAMP,
  \"Device\" VARCHAR, \"Index\" BIGINT, \"Model\" VARCHAR, \"User\" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
STORED AS JSON LOCATION '$scratch/iot' OPTIONS ('max_files' '1');"
answers="CALL wait(drained => true); SELECT count(*), sum(n) FROM answer; SELECT batches, rows FROM standing_queries();"

ours() {
    echo "$source CREATE MATERIALIZED VIEW answer WITH (trigger = 'available now') AS $2; $answers" > "$scratch/$1.sql"
    /usr/bin/time -f "pleiad, $1: %e s, %U + %S s CPU, %M KiB resident" "$pleiad" -q run "$scratch/$1.sql" --format csv
}

for round in 1 2 3; do
    echo "== round $round, $lines lines"
    ours count "SELECT gt, count(*) AS n FROM drop_nulls(iot) GROUP BY gt"
    ours windows "SELECT window_start, count(*) AS n
        FROM HOP(drop_nulls(iot), \"Creation_Time\", INTERVAL '5 seconds', INTERVAL '10 seconds') GROUP BY 1"
    "$python" "$shared/peers/stream_spark.py" throughput "$dir"
done
"$python" "$shared/peers/stream_spark.py" latency "$dir"
python3 benches/stream_latency.py "$pleiad" "$dir/iot/events.jsonl"
