#!/usr/bin/env bash
# How much memory the program takes on inputs that are hard on it: the table of docs/limits.md.
#   bash benches/limits.sh DIR [PROGRAM]
# DIR is made, and takes 5 GB; what is in it is used again. PROGRAM is target/release/pleiad unless named. LIMITS
# holds other limits than 128MB and 256MB.
# Prints a line of Markdown for each input, command and --memory-limit: exit code, MiB that were resident at
# most, and MiB of data among them, the rest being the program itself. Exit code 65 refuses the input and names
# the line; 71 says that the limit is too small. Linux only.
set -euo pipefail
dir=$1 pleiad=${2:-${CARGO_TARGET_DIR:-target}/release/pleiad}
mkdir -p "$dir"

long_line() { # BYTES
    head -c "$1" /dev/zero | tr '\0' 9
}
make() { # NAME COMMAND…: makes the file NAME unless it is there
    local name=$1
    shift
    if [ ! -e "$dir/$name" ]; then
        "$@" > "$dir/making"
        mv "$dir/making" "$dir/$name"
    fi
}
csv_line() { printf 'id,x\n1,2\n2,' && long_line $((1 << 30)) && printf '\n'; }
csv_quote() { printf 'id,x\n1,2\n2,"' && head -c $((1 << 30)) < <(yes 'open, and never closed'); }
json_line() { printf '{"id":1,"x":"' && long_line $((1 << 30)) && printf '"}\n'; }
gzip_line() { # a line of 4 GiB, in members of 64 MiB
    printf 'id,x\n1,' | gzip -1
    long_line $((64 << 20)) | gzip -9 > "$dir/member"
    for _ in $(seq 64); do cat "$dir/member"; done
    rm "$dir/member"
}
wide_rows() { # COLUMNS ROWS
    awk -v columns="$1" -v rows="$2" 'BEGIN {
        for (c = 1; c <= columns; c++) printf "c%d%s", c, c < columns ? "," : "\n"
        for (r = 1; r <= rows; r++) for (c = 1; c <= columns; c++) printf "%d.5%s", r * c % 1000, c < columns ? "," : "\n"
    }'
}
long_rows() { # 40 rows of 8 MiB each
    printf 'id,x,y,text\n'
    for row in $(seq 40); do printf '%d,%d.5,%d.5,' "$row" "$row" "$row" && long_line $((8 << 20)) && printf '\n'; done
}
small_files() { # DIRECTORY ENDING: 20,000 files of one row
    [ -d "$dir/$1" ] && return
    mkdir -p "$dir/$1.making"
    if [ "$2" = csv ]; then
        for n in $(seq 20000); do printf 'id,x,y\n%d,%d.5,%d.5\n' "$n" "$n" "$n" > "$dir/$1.making/$n.csv"; done
    else
        "$pleiad" -q sql -c "COPY (SELECT 1 AS id, 1.5 AS x, 2.5 AS y) TO '$dir/one.parquet' OPTIONS ('mode' 'overwrite')"
        for n in $(seq 20000); do cp "$dir/one.parquet" "$dir/$1.making/$n.parquet"; done
    fi
    mv "$dir/$1.making" "$dir/$1"
}
wide_parquet() {
    [ -e "$dir/wide.parquet" ] || "$pleiad" -q sql -c "COPY (SELECT * FROM '$dir/wide.csv') TO '$dir/wide.parquet'"
}

ten_columns() {
    local columns
    columns=$(printf 'random() AS %s, ' a b c d e f g h i j)
    [ -e "$dir/ten.parquet" ] || "$pleiad" -q sql -c \
        "COPY (SELECT ${columns%, } FROM generate_series(1, 1000000)) TO '$dir/ten.parquet'"
}

make line.csv csv_line
make quote.csv csv_quote
make line.jsonl json_line
make line.csv.gz gzip_line
make wide.csv wide_rows 5000 2000
make long.csv long_rows
small_files small csv
small_files parts parquet
wide_parquet
ten_columns

measured() { # INPUT LIMIT COMMAND…
    local input=$1 limit=$2 name=$3
    shift 2
    "$pleiad" -q --memory-limit "$limit" "$@" > /dev/null 2> "$dir/said" &
    local process=$! code=0 resident=0 data=0 found
    while found=$(awk '/^VmHWM|^RssAnon/ { print $2 }' "/proc/$process/status" 2> /dev/null) && [ -n "$found" ]; do
        resident=${found%%$'\n'*} found=${found##*$'\n'}
        data=$((found > data ? found : data))
        sleep 0.05
    done
    wait "$process" || code=$?
    echo "| $input | \`$name\` | $limit | $code | $((resident / 1024)) | $((data / 1024)) |"
}

echo "| input | command | --memory-limit | exit code | MiB | of it data |"
echo "| --- | --- | --- | --- | --- | --- |"
for limit in ${LIMITS:-128MB 256MB}; do
    while read -r file input; do
        measured "$input" "$limit" count "$dir/$file"
        measured "$input" "$limit" sql -c "SELECT count(*), max(x) FROM '$dir/$file'"
    done << END
line.csv a CSV line of 1 GiB
quote.csv a quote that never ends, 1 GiB
line.jsonl a line of JSON of 1 GiB
line.csv.gz 4 MB of gzip that hold a line of 4 GiB
END
    for ending in csv parquet; do
        input="2,000 rows of 5,000 columns, $ending"
        measured "$input" "$limit" summary "$dir/wide.$ending" --columns c1,c5000
        measured "$input" "$limit" kmeans "$dir/wide.$ending" "$dir/out" --mode overwrite --columns c1,c2 --k 3
    done
    input="40 CSV lines of 8 MiB"
    measured "$input" "$limit" sql -c "SELECT count(*), max(length(text)) FROM '$dir/long.csv'"
    measured "$input" "$limit" summary "$dir/long.csv" --columns x
    input="a million rows of 10 columns, k = 50"
    measured "$input" "$limit" kmeans "$dir/ten.parquet" "$dir/out" --mode overwrite \
        --columns a,b,c,d,e,f,g,h,i,j --k 50 --max-iterations 5
    for files in small parts; do
        ending=csv
        [ "$files" = small ] || ending=parquet
        input="20,000 $ending files of one row"
        measured "$input" "$limit" count "$dir/$files"
        measured "$input" "$limit" sql -c "SELECT sum(x) FROM '$dir/$files/'"
        measured "$input" "$limit" kmeans "$dir/$files" "$dir/out" --mode overwrite --columns x,y --k 1
        measured "$input" "$limit" dbscan "$dir/$files" "$dir/out" --mode overwrite --x x --y y --eps 1
    done
done
