#!/usr/bin/env bash
# k-means of DIR/people by Pleiad and by scikit-learn in turn: 20 steps, k = 7, the same start.
#   bash benches/kmeans.sh DIR [PYTHON]
# DIR is what ../shared/bench/peers/make_data.py wrote; PYTHON has numpy, pyarrow and scikit-learn.
# Prints wall seconds and resident memory of whole processes: three rounds of each, then 36 models in
# one run beside 36 runs of one, then the costs from a start without ties (see kmeans_cost.py).
set -euo pipefail
dir=$1 python=${2:-python3} shared=${PLEIAD_SHARED:-../shared/bench}
cargo build --release
pleiad=${CARGO_TARGET_DIR:-target}/release/pleiad
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

cluster() {
    "$pleiad" -q kmeans "$dir/people/table*" --columns age,weight,shoulder_circumference \
        --max-iterations 20 --tolerance 0 --format csv "$@"
}
timed() {
    local name=$1
    shift
    TIMEFORMAT="$name: %R s"
    time "$@"
}
resident() {
    local name=$1
    shift
    /usr/bin/time -f "$name: %e s, %M KiB" "$pleiad" -q kmeans "$dir/people/table*" --format csv \
        --columns age,weight,shoulder_circumference --max-iterations 20 --tolerance 0 "$@"
}

for round in 1 2 3; do
    echo "== round $round"
    resident "in memory" --k 7 --start given --centroids "$shared/start7.csv"
    resident "at 256 MB" --k 7 --start given --centroids "$shared/start7.csv" --memory-limit 256MB
    "$python" "$shared/peers/kmeans.py" sklearn "$dir"
done

singles() {
    for k in {2..10}; do
        for seed in 1 2 3 4; do
            cluster --k "$k" --starts 1 --seed "$seed" "$@" > "$scratch/single"
        done
    done
}
for limit in 4GB 256MB; do
    echo "== 36 models, memory limit $limit"
    timed "one run" cluster --k 2..10 --starts 4 --memory-limit "$limit" > "$scratch/models.$limit"
    timed "36 runs" singles --memory-limit "$limit"
done
cmp "$scratch/models.4GB" "$scratch/models.256MB"

echo "== cost from a start without ties"
awk -F, -v OFS=, 'NR > 1 { $1 += 0.00137; $2 += 0.00071 * NR; $3 -= 0.00253 } 1' \
    "$shared/start7.csv" > "$scratch/start.csv"
cluster --k 7 --start given --centroids "$scratch/start.csv"
"$python" benches/kmeans_cost.py "$dir" "$scratch/start.csv"
