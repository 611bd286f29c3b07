#!/usr/bin/env python3
"""Makes the tables beside it: a small sample of the sky, and where its rows belong.

It shares no code with the program. Only Python and its math module, which is the C library's:
the bits of the legacy tables are those of glibc. Run it in this folder.

sample.csv          id, ra, decl: four knots and a field around them
bounds.csv          bounds in three frames
legacy_*            blocks, counts and assignments as the programs of 2017 made them, versions 1 to 4
right_*             the same by half-open blocks, true rotation, and slices of at most 2 rows
v4_rounds.csv       the loop of version 4, which never ends
"""
import csv
import math
import random
from collections import Counter

OBLIQUITY = 23.439281
MARGIN = 0.05
MAX_ROWS = 2


def sample():
    random.seed(2017)
    rows = []
    for ra, dec, n in [(244.93, -11.21, 14), (245.10, -11.02, 9), (245.11, -11.27, 6), (244.98, -10.95, 5)]:
        rows += [(random.gauss(ra, 0.006), random.gauss(dec, 0.006)) for _ in range(n)]
    rows += [(random.uniform(244.9, 245.2), random.uniform(-11.3, -10.9)) for _ in range(22)]
    random.shuffle(rows)
    return rows


def extent(rows):
    xs, ys = [x for x, _ in rows], [y for _, y in rows]
    return min(xs), max(xs), min(ys), max(ys)


def is_prime(n):
    return n < 2 or all(n % f for f in range(2, int(n ** 0.5) + 1))


def shape(n):
    columns, rows, turn, factor = 1, 1, True, 2
    while n > 1:
        while n % factor:
            factor += 1
        n //= factor
        if turn:
            columns *= factor
        else:
            rows *= factor
        turn = not turn
    return columns, rows


# --- 2017, faults included ---
def legacy_ecliptic(ra, dec):
    e = OBLIQUITY
    lon = math.atan((math.sin(e) / math.cos(ra)) * math.tan(dec) + (math.cos(e) / math.cos(ra)) * math.tan(ra))
    lat = math.asin(math.cos(e) * math.sin(dec) - math.sin(e) * math.sin(ra) * math.cos(dec))
    return lon, lat


def legacy_count(size, block):
    q = size / block
    if q == int(q) and not is_prime(int(q)):
        return int(q)
    if q != int(q) and is_prime(int(q) + 1):
        return int(q) + 2
    return int(q) + 1


def legacy_assign(rows, blocks, margin):
    """blocks: list of (id, xmin, xmax, ymin, ymax); indices of the blocks of each row"""
    dx, dy = margin if margin else (0.0, 0.0)
    found = []
    for x, y in rows:
        inside = [i for i, (_, a, b, c, d) in enumerate(blocks)
                  if a - dx <= x <= b + dx and c - dy <= y <= d + dy]
        if not margin:
            inside = inside[:1] or [0]
        assert inside, "a row in no block ends the run"
        found.append(inside)
    return found


def legacy(rows, version, even_then_odd=True, rounds=1):
    columns, lines = shape(legacy_count(5000, 128))
    if version >= 3:
        rows = [legacy_ecliptic(*row) for row in rows]
    xmin, xmax, ymin, ymax = extent(rows)
    sx, sy = (xmax - xmin) / columns, (ymax - ymin) / lines
    margin = (sx * MARGIN, sy * MARGIN) if version > 1 else None
    blocks = []
    for i in range(columns):
        for j in range(lines):
            blocks.append((i * lines + j, xmin + i * sx, xmin + (i + 1) * sx, ymin + j * sy, ymin + (j + 1) * sy))
    places = legacy_assign(rows, blocks, margin)
    cuts = []
    if version == 4:
        counts = Counter(i for p in places for i in p)
        free = [b[0] for i, b in enumerate(blocks) if not counts[i]]
        blocks = [b for i, b in enumerate(blocks) if counts[i]]
        known = columns * lines
        places = legacy_assign(rows, blocks, margin)
        for _ in range(rounds):
            counts = Counter(i for p in places for i in p)
            full = {b[0]: counts[i] for i, b in enumerate(blocks) if counts[i] > MAX_ROWS}
            order = sorted(full, key=lambda k: (k % 2, k) if even_then_odd else k)
            for k in order:
                n = full[k]
                at = [b[0] for b in blocks].index(k)
                _, a, b, c, d = blocks.pop(at)
                parts = n // MAX_ROWS
                w = (b - a) / parts
                new = []
                for t in range(parts):
                    if not free:
                        free = list(range(known, known + 10))
                        known += 10
                    new.append(free.pop(0))
                    lo = a + t * w
                    blocks.append((new[-1], lo, lo + w, c, d))
                free.append(k)
                cuts.append((k, n, parts, new))
            places = legacy_assign(rows, blocks, margin)
    return rows, blocks, places, cuts


# --- done right ---
def ecliptic(ra, dec):
    a, d, e = math.radians(ra), math.radians(dec), math.radians(OBLIQUITY)
    x, y, z = math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)
    y, z = y * math.cos(e) + z * math.sin(e), z * math.cos(e) - y * math.sin(e)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def edges(lo, hi, n):
    return [lo + ((hi - lo) * i) / n for i in range(n)] + [hi]


def index(e, v):
    return sum(1 for x in e[1:-1] if x <= v)


def right(rows):
    """own block, and all blocks with the margin, of each row; the bounds of all blocks"""
    xmin, xmax, ymin, ymax = extent(rows)
    columns, lines = shape(40)
    ex, ey = edges(xmin, xmax, columns), edges(ymin, ymax, lines)
    da, dd = (xmax - xmin) / columns * MARGIN, (ymax - ymin) / lines * MARGIN
    own = [index(ex, x) * lines + index(ey, y) for x, y in rows]
    every = []
    for (x, y), mine in zip(rows, own):
        held = {mine}
        for i in range(columns):
            for j in range(lines):
                if ex[i] - da <= x <= ex[i + 1] + da and ey[j] - dd <= y <= ey[j + 1] + dd:
                    held.add(i * lines + j)
        every.append(sorted(held))
    bounds = [(ex[i], ex[i + 1], ey[j], ey[j + 1]) for i in range(columns) for j in range(lines)]
    return own, every, bounds


def leaves(rows):
    """slices in longitude of at most MAX_ROWS rows: (parent, bounds, row numbers), none empty"""
    own, _, bounds = right(rows)
    xmax = extent(rows)[1]
    done = []
    for parent, (a, b, c, d) in enumerate(bounds):
        todo = [(a, b, [i for i, o in enumerate(own) if o == parent])]
        while todo:
            lo, hi, held = todo.pop()
            if len(held) <= MAX_ROWS:
                if held:
                    done.append((parent, (lo, hi, c, d), held))
                continue
            n = -(-len(held) // MAX_ROWS)
            e = edges(lo, hi, n)
            for t in range(n):
                last = t == n - 1
                part = [i for i in held if e[t] <= rows[i][0] and (rows[i][0] < e[t + 1] or last)]
                todo.append((e[t], e[t + 1], part))
    assert all(hi <= xmax for _, (_, hi, _, _), _ in done)
    return sorted(done, key=lambda leaf: (leaf[0], leaf[1][0], leaf[1][2]))


def bar(ids):
    return "|".join(str(i) for i in ids)


def write(name, header, rows):
    with open(name, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header.split(","))
        out.writerows([repr(v) if isinstance(v, float) else v for v in row] for row in rows)


def counted(places):
    return sorted(Counter(i for p in places for i in p).items())


def main():
    rows = sample()
    write("sample.csv", "id,ra,decl", [(i + 1, *row) for i, row in enumerate(rows)])
    true = [ecliptic(*row) for row in rows]
    false = [legacy_ecliptic(*row) for row in rows]
    write("bounds.csv", "frame,x_min,x_max,y_min,y_max",
          [(name, *extent(of)) for name, of in
           [("equatorial_deg", rows), ("legacy_ecliptic", false), ("right_ecliptic_deg", true)]])
    runs = {v: legacy(rows, v) for v in (1, 2, 3, 4)}
    for v, (_, blocks, places, _) in runs.items():
        write(f"legacy_v{v}_blocks.csv", "block,x_min,x_max,y_min,y_max", blocks)
        write(f"legacy_v{v}_counts.csv", "block,n", counted([[blocks[i][0] for i in p] for p in places]))
    _, blocks, places, _ = legacy(rows, 4, even_then_odd=False)
    write("legacy_v4_counts_one_partition.csv", "block,n", counted([[blocks[i][0] for i in p] for p in places]))
    write("legacy_v4_splits.csv", "block,n_before,parts,new_ids",
          [(k, n, parts, bar(new)) for k, n, parts, new in runs[4][3]])
    ids = {v: [bar(blocks[i][0] for i in p) for p in places] for v, (_, blocks, places, _) in runs.items()}
    write("legacy_assignments.csv", "line,id,ra,decl,legacy_lambda_rad,legacy_beta_rad,v1,v2,v3,v4",
          [(i + 1, i + 1, *rows[i], *false[i], *(ids[v][i] for v in (1, 2, 3, 4))) for i in range(len(rows))])
    rounds = []
    for n in range(1, 6):
        _, blocks, places, _ = legacy(rows, 4, rounds=n)
        counts = Counter(i for p in places for i in p)
        rounds.append((n, len(blocks), max(counts.values()), sum(counts.values()),
                       sum(1 for c in counts.values() if c > MAX_ROWS)))
    write("v4_rounds.csv", "round,blocks,max_rows_in_block,rows_written,blocks_over_2", rounds)
    (own2, all2, _), (own3, all3, _) = right(rows), right(true)
    write("right_v1_counts.csv", "block,n", counted([o] for o in own2))
    write("right_v2_counts.csv", "block,n", counted(all2))
    write("right_v3_core_counts.csv", "block,n", counted([o] for o in own3))
    write("right_v3_margin_counts.csv", "block,n", counted(all3))
    found = leaves(true)
    write("right_v4_leaves.csv", "leaf,parent_block,lambda_min,lambda_max,beta_min,beta_max,n",
          [(i, parent, *bounds, len(held)) for i, (parent, bounds, held) in enumerate(found)])
    leaf = {i: n for n, (_, _, held) in enumerate(found) for i in held}
    write("right_assignments.csv",
          "line,id,ra_deg,decl_deg,lambda_deg,beta_deg,v1_core,v2_with_margin,v3_core,v3_with_margin,v4_leaf",
          [(i + 1, i + 1, *rows[i], *true[i], own2[i], bar(all2[i]), own3[i], bar(all3[i]), leaf[i])
           for i in range(len(rows))])


main()
