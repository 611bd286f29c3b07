#!/usr/bin/env bash
# The ten million points of DIR/shapes/varden.parquet clustered by Pleiad and by a peer in turn.
#   bash benches/dbscan.sh DIR [PYTHON] [PEER]
# DIR is what ../shared/bench/peers/make_data.py wrote; PYTHON has pyarrow and the peer, `dbscan` (C++)
# unless PEER says `sklearn`. Prints wall seconds and resident memory of our whole process, from
# Parquet to published labels, and the peer's own line, whose fit_s is the time without reading.
set -euo pipefail
dir=$1 python=${2:-python3} peer=${3:-dbscan} shared=${PLEIAD_SHARED:-../shared/bench}
cargo build --release
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

ours() {
    local name=$1
    shift
    rm -rf "$scratch/out"
    /usr/bin/time -f "$name: %e s, %M KiB resident" "$pleiad" -q dbscan "$dir/shapes/varden.parquet" \
        "$scratch/out" --x x --y y --show dbscan --format csv "$@"
}

for round in 1 2 3; do
    echo "== round $round"
    for pair in "1000 100" "100 10" "10 10"; do
        read -r eps points <<< "$pair"
        ours "eps $eps, min-points $points" --eps "$eps" --min-points "$points"
        ours "the same at 512 MiB" --eps "$eps" --min-points "$points" --memory-limit 512MiB
        "$python" "$shared/peers/dbscan_peer.py" "$peer" "$dir" "$eps" "$points"
    done
done
