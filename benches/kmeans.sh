#!/usr/bin/env bash
# k-means of DIR/people by Pleiad and by scikit-learn in turn: 20 steps, k = 7, the same start.
#   bash benches/kmeans.sh DIR [PYTHON]
# DIR is what ../shared/bench/peers/make_data.py wrote; PYTHON has numpy, pyarrow and scikit-learn.
# Prints, for each of three rounds, wall seconds and resident memory of the whole process.
set -euo pipefail
dir=$1 python=${2:-python3} shared=${PLEIAD_SHARED:-../shared/bench}
cargo build --release
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
ours() {
    /usr/bin/time -f 'pleiad %e s, %M KiB' "$pleiad" "$@" kmeans "$dir/people/table*" --format csv \
        --columns age,weight,shoulder_circumference --k 7 --start given \
        --centroids "$shared/start7.csv" --max-iterations 20 --tolerance 0
}
for round in 1 2 3; do
    echo "== round $round: in memory"
    ours
    echo "== round $round: at 256 MB"
    ours --memory-limit 256MB
    echo "== round $round: scikit-learn"
    "$python" "$shared/peers/kmeans.py" sklearn "$dir"
done
