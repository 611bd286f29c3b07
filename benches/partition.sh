#!/usr/bin/env bash
# The sky of DIR cut into blocks by Pleiad, by Polars and by DuckDB in turn, three rounds.
#   bash benches/partition.sh DIR [PYTHON]
# DIR is what ../shared/bench/peers/make_data.py wrote (--only sky); PYTHON has polars and duckdb.
# Prints wall seconds and resident memory of whole processes, and the bytes that each has written.
# Ours counts first, checks rows and commits with checksums; the peers only write. Outputs stay until
# the end (14 GB): ext4 looks a minute long for inodes that were not just freed.
set -euo pipefail
dir=$1 python=${2:-python3} shared=${PLEIAD_SHARED:-../shared/bench}
cargo build --release
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

ours() {
    local name=$1 out="$scratch/$round-${1// /-}"
    shift
    sync
    /usr/bin/time -f "$name: %e s, %M KiB resident" "$pleiad" -q partition "$dir/sky" \
        "$out" --show partitioning "$@" > "$scratch/answer"
    du -sm "$out/blocks" | sed "s|^|$name: |; s|\t.*| MiB written|"
}

peer() {
    sync
    "$python" "$shared/peers/partition.py" "$1" "$dir" "$scratch/$round-$1"
}

for round in 1 2 3; do
    echo "== round $round"
    ours "v1" --preset v1 --grid 16x10 --bounds sky
    peer polars
    ours "v4" --preset v4 --grid 16x10 --bounds sky --max-rows 175000
    peer duckdb
    ours "v1 at 512 MB" --preset v1 --grid 16x10 --bounds sky --memory-limit 512MB
done
