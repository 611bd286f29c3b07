"""Files and expressions by chance, read by Pleiad, by DuckDB and, of text, by pandas.

    differ.py PLEIAD DIR [--files N] [--expressions N] [--seed S] [--keep]

The maker of a text file knows the values that it wrote: they decide who is right. A Parquet file is written by
pyarrow, polars and DuckDB in turn, and what pyarrow reads decides. Of an expression the answer of DuckDB does.
A difference that docs/text.md or docs/sql.md explains has a rule here and is counted by its name; any other is
printed, and ends with exit code 1. Needs the packages duckdb, pandas, polars and pyarrow.
"""

import argparse
import collections
import csv
import datetime
import decimal
import gzip
import io
import json
import math
import pathlib
import random
import subprocess
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet

WORDS = ["Lyon", "Aix-en-Provence", "é", "a b", "x;y", "a,b", "tab\there", 'say "so"', "two\nlines", "#no", "-", "O'Hara"]
NULLS = ["", "NULL", "NA", "\\N", "null"]


class Pleiad:
    """The program, a process a question."""

    def __init__(self, program):
        self.program = program

    def rows(self, query):
        """The rows of a query as lists, or the text of an error."""
        line = [self.program, "sql", "-q", "-c", query, "--format", "ndjson"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            return done.stderr.strip()
        return [list(json.loads(row, parse_float=decimal.Decimal).values()) for row in done.stdout.splitlines()]


def column(chance, rows):
    """A kind, the values of a column, and how each is written."""
    kind = chance.choice(["int", "long", "float", "text", "code", "bool", "date", "time", "mixed"])
    make = {
        "int": lambda: chance.randint(-1000, 1000),
        "long": lambda: chance.choice([2**63 - 1, -(2**63), 2**53 + 1, chance.randint(-(2**62), 2**62)]),
        "float": lambda: chance.choice([chance.uniform(-1e3, 1e3), chance.gauss(0, 1e-8), chance.randint(-9, 9) + 0.5]),
        "text": lambda: chance.choice(WORDS),
        "code": lambda: f"{chance.randint(0, 999):04}",
        "bool": lambda: chance.random() < 0.5,
        "date": lambda: datetime.date(1900, 1, 1) + datetime.timedelta(days=chance.randint(0, 60000)),
        "time": lambda: datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=chance.randint(0, 10**9)),
        "mixed": lambda: chance.choice([7, "x7", 1.5, "Lyon"]),
    }[kind]
    values = [make() for _ in range(rows)]
    if kind in ("text", "mixed"):
        values[0] = "Lyon"  # A text among the values makes the column text.
    if kind == "code":
        values[0] = "0001"
    word = "" if kind in ("text", "code", "mixed") else chance.choice(NULLS)
    written = [text_of(value, chance) for value in values]
    if kind in ("mixed", "code"):
        values = list(written)
    if rows > 2 and chance.random() < 0.4:
        place = chance.randrange(1, rows)
        values[place], written[place] = None, word
    return kind, values, written


def text_of(value, chance):
    if isinstance(value, bool):
        return chance.choice([str(value), str(value).lower()])
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=chance.choice(" T"))
    return str(value)


def text_file(chance, path):
    """Writes a file by chance; returns what its columns hold, and what is odd in it."""
    rows, width = chance.randint(3, 12), chance.randint(2, 5)
    columns = [column(chance, rows) for _ in range(width)]
    names = [f"c{number}" for number in range(width)]
    odd = {
        "delimiter": chance.choice(",,,;\t|"),
        "ends": chance.choice(["\n", "\r\n"]),
        "encoding": chance.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"]),
        "gz": chance.random() < 0.1,
        "comments": chance.choice([0, 0, 0, 2]),
        "blank": chance.choice([0, 0, 0, 1]),
        "quoting": chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "last": chance.random() < 0.9,
    }
    text = io.StringIO()
    text.write(odd["ends"] * odd["blank"])
    text.write(f"# made by chance{odd['ends']}" * odd["comments"])
    writer = csv.writer(text, delimiter=odd["delimiter"], lineterminator=odd["ends"], quoting=odd["quoting"])
    writer.writerow(names)
    writer.writerows(zip(*(written for _, _, written in columns)))
    text = text.getvalue()
    text = text if odd["last"] else text.removesuffix(odd["ends"])
    data = text.encode(odd["encoding"])
    path.write_bytes(gzip.compress(data) if odd["gz"] else data)
    return [(kind, values) for kind, values, _ in columns], odd


def plain(value):
    """A value as it compares: numbers as numbers, NULL and NaN as words, instants as text."""
    if value is None or value is pandas.NaT:
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        if isinstance(value, float) and math.isnan(value):
            return "NaN"
        return decimal.Decimal(repr(value)) if isinstance(value, float) else decimal.Decimal(value)
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(sep="T")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value)


def same(one, other):
    one, other = plain(one), plain(other)
    if isinstance(one, decimal.Decimal) and isinstance(other, decimal.Decimal):
        return one == other or (one != 0 and abs(one - other) <= abs(one) * decimal.Decimal("1e-12"))
    if isinstance(one, str) and isinstance(other, str) and one.replace(" ", "T", 1) == other.replace(" ", "T", 1):
        return True
    return one == other


def differences(found, columns):
    """The first column and row of a table that are not what was written."""
    if isinstance(found, str):
        return f"error: {found[:300]}"
    expected = list(zip(*(values for _, values in columns)))
    if len(found) != len(expected):
        return f"{len(found)} rows, expected {len(expected)}"
    for number, (row, truth) in enumerate(zip(found, expected)):
        if len(row) != len(truth):
            return f"{len(row)} columns, expected {len(truth)}"
        for place, (value, true) in enumerate(zip(row, truth)):
            if not same(value, true):
                return f"row {number}, {columns[place][0]}: {value!r}, expected {true!r}"
    return None


def by_duckdb(path):
    try:
        return [list(row) for row in duckdb.sql(f"SELECT * FROM read_csv('{path}')").fetchall()]
    except Exception as error:
        return str(error)


def by_pandas(path):
    try:
        frame = pandas.read_csv(path, sep=None, engine="python", keep_default_na=True)
        return [[None if pandas.isna(value) else value for value in row] for row in frame.astype(object).values]
    except Exception as error:
        return str(error)


def text_files(pleiad, folder, chance, count, keep):
    told, wrong = collections.Counter(), 0
    for number in range(count):
        path = folder / f"{number}.csv"
        columns, odd = text_file(chance, path)
        ours = differences(pleiad.rows(f"SELECT * FROM '{path}'"), columns)
        for peer, read in (("duckdb", by_duckdb), ("pandas", by_pandas)):
            told[f"text: {peer} reads another value, and Pleiad what was written"] += (
                ours is None and differences(read(path), columns) is not None
            )
        if ours is not None:
            wrong += 1
            print(f"{path}: {ours}\n  {odd}")
        elif not keep:
            path.unlink()
    return told, wrong


def parquet_table(chance):
    rows = chance.randint(1, 20)
    make = {
        "int8": (pyarrow.int8(), lambda: chance.randint(-128, 127)),
        "uint64": (pyarrow.uint64(), lambda: chance.choice([2**64 - 1, 0, chance.randint(0, 2**63)])),
        "int64": (pyarrow.int64(), lambda: chance.randint(-(2**63), 2**63 - 1)),
        "float": (pyarrow.float32(), lambda: chance.randint(-1000, 1000) / 8),
        "double": (pyarrow.float64(), lambda: chance.gauss(0, 1)),
        "text": (pyarrow.string(), lambda: chance.choice(WORDS)),
        "bool": (pyarrow.bool_(), lambda: chance.random() < 0.5),
        "date": (pyarrow.date32(), lambda: datetime.date(1970, 1, 1) + datetime.timedelta(days=chance.randint(-9999, 9999))),
        "stamp": (pyarrow.timestamp("us"), lambda: datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=chance.randint(-(10**15), 10**15))),
        "money": (pyarrow.decimal128(12, 3), lambda: decimal.Decimal(chance.randint(-(10**9), 10**9)).scaleb(-3)),
        "list": (pyarrow.list_(pyarrow.int64()), lambda: [chance.randint(0, 9) for _ in range(chance.randint(0, 3))]),
        "struct": (pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.string())]), lambda: {"a": chance.randint(0, 9), "b": "x"}),
    }
    names = chance.sample(sorted(make), chance.randint(1, 6))
    arrays = []
    for name in names:
        of_type, value = make[name]
        values = [None if chance.random() < 0.15 else value() for _ in range(rows)]
        arrays.append(pyarrow.array(values, of_type))
    return pyarrow.table(arrays, names=names)


def write_parquet(table, path, chance):
    writer = chance.choice(["pyarrow", "polars", "duckdb"])
    if writer == "pyarrow":
        pyarrow.parquet.write_table(
            table, path, compression=chance.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
            use_dictionary=chance.random() < 0.5, data_page_version=chance.choice(["1.0", "2.0"]),
            version=chance.choice(["1.0", "2.4", "2.6"]), row_group_size=chance.choice([1, 3, 1000]),
        )
    elif writer == "polars":
        polars.from_arrow(table).write_parquet(path, compression=chance.choice(["uncompressed", "snappy", "zstd", "lz4"]))
    else:
        duckdb.from_arrow(table).write_parquet(str(path), compression=chance.choice(["uncompressed", "snappy", "zstd"]))
    return writer


def parquet_files(pleiad, folder, chance, count, keep):
    wrong = 0
    for number in range(count):
        path = folder / f"{number}.parquet"
        writer = write_parquet(parquet_table(chance), path, chance)
        read = pyarrow.parquet.read_table(path)
        columns = [(name, read.column(name).to_pylist()) for name in read.column_names]
        ours = differences(pleiad.rows(f"SELECT * FROM '{path}'"), columns)
        if ours is not None:
            wrong += 1
            print(f"{path}, written by {writer}: {ours}")
        elif not keep:
            path.unlink()
    return wrong


TABLE = """(VALUES (1, 0.5, 'Lyon', DATE '2024-02-29'), (-7, 2.25, 'éa', DATE '1999-12-31'), (0, -1.5, '', DATE '1970-01-01'),
  (NULL, NULL, NULL, NULL), (1000, 3.75, 'a_b%', DATE '2023-01-31')) AS t(i, x, s, d)"""


def expression(chance, kind, depth):
    """An expression of a kind: n a whole number, x a double, s a text, d a date, b a truth."""
    deep = lambda of: expression(chance, of, depth - 1)
    leaf = {
        "n": ["CAST(i AS BIGINT)", "CAST(3 AS BIGINT)", "CAST(-2 AS BIGINT)", "CAST(NULL AS BIGINT)"],
        "x": ["CAST(x AS DOUBLE)", "CAST(0.25 AS DOUBLE)", "CAST(-3 AS DOUBLE)"],
        "s": ["s", "'Abc'", "' b '", "CAST(NULL AS VARCHAR)"],
        "d": ["d", "DATE '2020-02-29'"],
        "b": ["TRUE", "FALSE", "i > 0", "s = 'Lyon'", "d < DATE '2000-01-01'"],
    }
    if depth == 0:
        return chance.choice(leaf[kind])
    forms = {
        "n": [
            lambda: f"({deep('n')} {chance.choice('+-*')} {deep('n')})",
            lambda: f"abs({deep('n')})",
            lambda: f"CAST(length({deep('s')}) AS BIGINT)",
            lambda: f"CAST(EXTRACT({chance.choice(['year', 'month', 'day'])} FROM {deep('d')}) AS BIGINT)",
            lambda: f"coalesce({deep('n')}, {deep('n')})",
            lambda: f"nullif({deep('n')}, {deep('n')})",
            lambda: f"CASE WHEN {deep('b')} THEN {deep('n')} ELSE {deep('n')} END",
            lambda: f"({deep('n')} % CAST({chance.choice([3, 7, -4])} AS BIGINT))",
            lambda: f"CAST(POSITION('b' IN {deep('s')}) AS BIGINT)",
        ],
        "x": [
            lambda: f"({deep('x')} {chance.choice('+-*')} {deep('x')})",
            lambda: f"{chance.choice(['floor', 'ceil', 'abs', 'round'])}({deep('x')})",
            lambda: f"({deep('x')} / CAST({chance.choice([4, -2])} AS DOUBLE))",
            lambda: f"CAST({deep('n')} AS DOUBLE)",
            lambda: f"sqrt(abs({deep('x')}))",
            lambda: f"greatest({deep('x')}, {deep('x')})",
            lambda: f"coalesce({deep('x')}, {deep('x')})",
        ],
        "s": [
            lambda: f"({deep('s')} || {deep('s')})",
            lambda: f"{chance.choice(['upper', 'lower', 'trim', 'ltrim', 'reverse'])}({deep('s')})",
            lambda: f"substring({deep('s')} FROM {chance.randint(1, 3)} FOR {chance.randint(0, 3)})",
            lambda: f"replace({deep('s')}, 'a', 'xy')",
            lambda: f"CAST({deep('n')} AS VARCHAR)",
            lambda: f"left({deep('s')}, {chance.randint(0, 3)})",
            lambda: f"concat({deep('s')}, {deep('s')})",
            lambda: f"lpad({deep('s')}, {chance.randint(1, 5)}, '*')",
        ],
        "d": [
            lambda: f"coalesce({deep('d')}, {deep('d')})",
            lambda: f"CASE WHEN {deep('b')} THEN {deep('d')} ELSE {deep('d')} END",
            lambda: f"CAST({deep('d')} + INTERVAL '{chance.choice(['1 month', '3 days', '-1 year'])}' AS DATE)",
            lambda: f"CAST(date_trunc('month', {deep('d')}) AS DATE)",
        ],
        "b": [
            lambda: f"({deep('b')} {chance.choice(['AND', 'OR'])} {deep('b')})",
            lambda: f"(NOT {deep('b')})",
            lambda: f"({deep('n')} {chance.choice(['<', '<=', '=', '<>'])} {deep('n')})",
            lambda: f"({deep('s')} LIKE {chance.choice(chr(39) + '%a%' + chr(39) + '|' + chr(39) + '_b%' + chr(39)).split('|')[0] if False else chr(39) + chance.choice(['%a%', '_b%', 'Lyon', '']) + chr(39)})",
            lambda: f"({deep('x')} BETWEEN {deep('x')} AND {deep('x')})",
            lambda: f"({deep('n')} IN (1, 0, {deep('n')}))",
            lambda: f"({deep('s')} IS NULL)",
            lambda: f"({deep('d')} < {deep('d')})",
            lambda: f"({deep('n')} IS DISTINCT FROM {deep('n')})",
        ],
    }
    return chance.choice(forms[kind])()


def expressions(pleiad, chance, count):
    wrong, many = 0, 40
    for start in range(0, count, many):
        made = [expression(chance, chance.choice("nxsdb"), chance.randint(1, 3)) for _ in range(min(many, count - start))]
        if start % (2 * many):
            made = [f"{chance.choice(['min', 'max', 'count'])}({one})" for one in made]
        select = lambda some: "SELECT " + ", ".join(f"{one} AS e{at}" for at, one in enumerate(some)) + f" FROM {TABLE}"
        together = pleiad.rows(select(made))
        for at, one in enumerate(made):
            try:
                theirs = duckdb.sql(select([one])).fetchall()
            except Exception as error:
                theirs = str(error)
            ours = together if isinstance(together, str) else [[row[at]] for row in together]
            if isinstance(ours, str):
                ours = pleiad.rows(select([one]))
            if isinstance(ours, str) and isinstance(theirs, str):
                continue
            is_same = not isinstance(ours, str) and not isinstance(theirs, str)
            is_same = is_same and len(ours) == len(theirs)
            if not (is_same and all(same(a, b) for x, y in zip(ours, theirs) for a, b in zip(x, y))):
                wrong += 1
                print(f"{one}\n  ours {ours}\n  DuckDB {theirs}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--expressions", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--keep", action="store_true", help="keep the files that are read right, too")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    pleiad, chance = Pleiad(given.program), random.Random(given.seed)
    told, text = text_files(pleiad, given.folder, chance, given.files, given.keep)
    parquet = parquet_files(pleiad, given.folder, chance, given.files // 10, given.keep)
    sql = expressions(pleiad, chance, given.expressions)
    for what, times in sorted(told.items()):
        print(f"{times} of {given.files}: {what}")
    print(f"not what was expected: {text} text files, {parquet} Parquet files, {sql} expressions")
    sys.exit(1 if text + parquet + sql else 0)


if __name__ == "__main__":
    main()
