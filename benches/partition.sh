#!/usr/bin/env bash
# The sky of DIR cut into blocks by Pleiad, by Polars and by DuckDB in turn, three rounds.
#   bash benches/partition.sh DIR [PYTHON]
# DIR is what ../shared/bench/peers/make_data.py wrote (--only sky); PYTHON has polars and duckdb.
# Prints wall seconds and resident memory of whole processes, and the bytes that each has written.
# Ours counts first, checks rows and commits with checksums; the peers only write.
set -euo pipefail
dir=$1 python=${2:-python3} shared=${PLEIAD_SHARED:-../shared/bench}
cargo build --release
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

ours() {
    local name=$1
    shift
    rm -rf "$scratch/out"
    /usr/bin/time -f "$name: %e s, %M KiB resident" "$pleiad" -q partition "$dir/sky" \
        "$scratch/out" --show partitioning "$@" > "$scratch/answer"
    du -sm "$scratch/out/blocks" | sed "s|^|$name: |; s|\t.*| MiB written|"
}

for round in 1 2 3; do
    echo "== round $round"
    ours "v1" --preset v1 --grid 16x10 --bounds sky
    ours "v1 at 512 MB" --preset v1 --grid 16x10 --bounds sky --memory-limit 512MB
    ours "v4" --preset v4 --grid 16x10 --bounds sky --max-rows 175000
    for peer in polars duckdb; do
        "$python" "$shared/peers/partition.py" "$peer" "$dir" "$scratch/peer"
    done
done
