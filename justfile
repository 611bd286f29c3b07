# Every check, as .ci/run makes it; or some stages: just check fmt lint
check *STAGES:
    bash .ci/run {{STAGES}}

# All tests, or those whose name contains a text: just test slices
test *FILTER:
    cargo test {{FILTER}}

# Accept what the tests found as the expected texts; then read the diff
bless:
    PLEIAD_BLESS=1 INSTA_UPDATE=always cargo test

# Kernels and single functions
bench *FILTER:
    cargo bench {{FILTER}}

# k-means of DIR/people (made by a peer's data maker) by Pleiad and by scikit-learn in turn, three times
bench-kmeans DIR PYTHON="python3":
    bash benches/kmeans.sh {{quote(DIR)}} {{quote(PYTHON)}}

# The sky of DIR (made by a peer's data maker) cut by Pleiad, Polars and DuckDB in turn, three times
bench-partition DIR PYTHON="python3":
    bash benches/partition.sh {{quote(DIR)}} {{quote(PYTHON)}}

# The points of DIR (made by a peer's data maker) clustered by Pleiad and by a peer in turn, three times
bench-dbscan DIR PYTHON="python3" PEER="dbscan":
    bash benches/dbscan.sh {{quote(DIR)}} {{quote(PYTHON)}} {{quote(PEER)}}

# Queries over DIR/sky (made by a peer's data maker) by Pleiad, by the engine as it comes, and by DuckDB
bench-query DIR PYTHON="python3":
    bash benches/query.sh {{quote(DIR)}} {{quote(PYTHON)}}

# Statements over a CSV file of 1 GB in DIR (made if it is not there) by Pleiad and by DuckDB in turn
bench-csv DIR PYTHON="python3":
    bash benches/csv.sh {{quote(DIR)}} {{quote(PYTHON)}}

# The streaming lab's queries over DIR/iot (made by a peer's data maker) by Pleiad and by Spark in turn, three times
bench-stream DIR PYTHON="python3":
    bash benches/stream.sh {{quote(DIR)}} {{quote(PYTHON)}}

# dist/pleiad-VERSION-TRIPLE.tar.gz: a static binary, completions, man pages
dist:
    bash .ci/dist

# The documentation, private parts included
docs:
    cargo doc --no-deps --document-private-items --open

# The pages of docs/ as a site in target/book
book:
    if command -v mdbook > /dev/null; then mdbook build; else echo "mdbook is not installed: cargo install mdbook"; exit 1; fi

# The longest files, for information
sizes:
    git ls-files -z 'core/*.rs' 'src/*.rs' 'tests/*.rs' 'benches/*.rs' | xargs -0 wc -l | sort -n | tail -n 25

# The program killed at its calls, with kill points built in; or a part of it: just kill files
kill FILTER="killed":
    cargo test --features test-hooks --test it {{FILTER}}

# The long tests: ten million rows; a kill at every call; every flipped byte; 10,000 damaged files of
# each kind; SEEDS orders of calls for two writers, a reader and a cleaner in each mode of create-only; a
# tenth as many histories of statements, and as many runs of each driver that die
soak SEEDS="10000":
    cargo test --features test-hooks -- --ignored
    PLEIAD_TEST_EVERY=1 cargo test --features test-hooks --test it -- killed:: removed:: tokens:: unwell::every power_loss::
    PLEIAD_TEST_CASES=10000 cargo test --test it corrupt::
    PLEIAD_TEST_SEEDS={{SEEDS}} cargo test --test it commit_races::
    PLEIAD_TEST_SEEDS=$(({{SEEDS}} / 10)) cargo test --test it -- history:: drivers_simulated::

# Memory that hard inputs take, made in DIR (5 GB): the table of docs/limits.md
measure-limits DIR:
    cargo build --release
    bash benches/limits.sh {{quote(DIR)}}

# Text files, Parquet files and expressions by chance, read by Pleiad, DuckDB and pandas, in DIR
differ DIR PYTHON="python3" FILES="10000":
    cargo build --release
    {{quote(PYTHON)}} benches/differ.py target/release/pleiad {{quote(DIR)}} --files {{FILES}}

# What the commit costs beside a plain parallel writer, three times in turn
bench-commit DIR:
    cargo bench --bench commit -- {{quote(DIR)}}

# Doubled versions, advisories, unused crates, spelling; a missing tool is said aloud
deps:
    bash .ci/run deps
    if command -v cargo-deny > /dev/null; then cargo deny check advisories bans; else echo "cargo-deny is not installed: skipped"; fi
    if command -v cargo-machete > /dev/null; then cargo machete; else echo "cargo-machete is not installed: skipped"; fi
    if command -v typos > /dev/null; then typos; else echo "typos is not installed: skipped"; fi
