#!/usr/bin/env bash
# Small datasets of one release, which every later one must read (tests/it/releases.rs).
#   bash tests/golden/releases/make.sh target/release/pleiad      -> tests/golden/releases/VERSION
set -euo pipefail
pleiad=$(realpath "$1")
out=$(realpath "$(dirname "${BASH_SOURCE[0]}")")/$("$pleiad" --version | cut -d ' ' -f 2)
work=$(mktemp -d /tmp/pleiad-release.XXXXXX)
cd "$work"
run() { "$pleiad" --threads 1 -q "$@"; }
run generate people people --rows 60
run kmeans people clusters --columns age,weight,shoulder_circumference --k 3 --seed 1
run generate sky sky --rows 200
run partition sky blocks --max-rows 150
run generate shapes shapes --shape moons --rows 60
run dbscan shapes labels --x x --y y --eps 25 --min-points 4
rm -r sky
mkdir "$out"
mv people clusters blocks shapes labels "$out/"
rm -r "$work"
du -sb "$out"
