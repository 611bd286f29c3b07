//! Adding the columns of a block to the lines of a table, a line for each cluster.

use super::kernel::{BLOCK, Lanes};
use crate::isa::{Isa, Task};

/// Adds `rows` rows to `table`: twice as many lines as clusters, each with the columns and the count of
/// rows. The sum of a cluster is that of its line in either half.
pub(super) fn add_rows(
    isa: Isa,
    columns: &[Lanes<i64>],
    labels: &Lanes<u64>,
    rows: usize,
    table: &mut [i64],
) {
    let half = table.len() / 2;
    if half <= sifted_clusters(isa) * (columns.len() + 1) {
        isa.run(Sift { columns, labels: &labels[..rows], table: &mut table[..half] });
    } else {
        scatter(columns, labels, rows, table);
    }
}

/// Adds the rows of clusters `$first + $k` to `$lines`, one a cluster. Four columns at a time, so that
/// a number is read once for all clusters; written out, or the sums would not become vectors.
macro_rules! sift_clusters {
    ($($k:literal)+, $first:ident, $labels:ident, $columns:ident, $lines:ident) => {{
        let (fours, ones) = $columns.as_chunks::<4>();
        let width = $columns.len() + 1;
        for (at, four) in (0..).step_by(4).zip(fours) {
            let [a, b, c, d] = four.each_ref().map(|column| &column[..$labels.len()]);
            let mut sums = [$( [0_i64 * $k; 4] ),+];
            for row in 0..$labels.len() {
                $(
                    let own = mask($first + $k, $labels[row]);
                    sums[$k][0] = sums[$k][0].wrapping_add(a[row] & own);
                    sums[$k][1] = sums[$k][1].wrapping_add(b[row] & own);
                    sums[$k][2] = sums[$k][2].wrapping_add(c[row] & own);
                    sums[$k][3] = sums[$k][3].wrapping_add(d[row] & own);
                )+
            }
            for (sums, line) in sums.iter().zip($lines.chunks_exact_mut(width)) {
                line[at..at + 4].iter_mut().zip(sums).for_each(|(a, b)| *a = a.wrapping_add(*b));
            }
        }
        for (at, column) in (4 * fours.len()..).zip(ones) {
            let column = &column[..$labels.len()];
            let mut sums = [$( 0_i64 * $k ),+];
            for row in 0..$labels.len() {
                $(
                    let own = mask($first + $k, $labels[row]);
                    sums[$k] = sums[$k].wrapping_add(column[row] & own);
                )+
            }
            for (sum, line) in sums.iter().zip($lines.chunks_exact_mut(width)) {
                line[at] = line[at].wrapping_add(*sum);
            }
        }
        let mut counts = [$( 0_i64 * $k ),+];
        for label in $labels {
            $( counts[$k] -= mask($first + $k, *label); )+
        }
        for (count, line) in counts.iter().zip($lines.chunks_exact_mut(width)) {
            line[width - 1] += count;
        }
    }};
}
/// Up to how many clusters it is faster to [`Sift`] than to [`scatter`]. Measured, see
/// `benches/kernel.rs`.
fn sifted_clusters(isa: Isa) -> usize {
    match isa.lanes() {
        8 => 10,
        4 => 5,
        _ => 1,
    }
}

/// For each cluster, the sums of all rows with the others masked out: for few clusters faster than
/// [`scatter`], which reads and writes memory for each number.
struct Sift<'a> {
    columns: &'a [Lanes<i64>],
    labels: &'a [u64],
    table: &'a mut [i64],
}

impl Task for Sift<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.columns.len() + 1;
        let (columns, labels) = (self.columns, self.labels);
        for (first, lines) in (0..).step_by(4).zip(self.table.chunks_mut(4 * width)) {
            match lines.len() / width {
                4 => sift_clusters!(0 1 2 3, first, labels, columns, lines),
                3 => sift_clusters!(0 1 2, first, labels, columns, lines),
                2 => sift_clusters!(0 1, first, labels, columns, lines),
                _ => sift_clusters!(0, first, labels, columns, lines),
            }
        }
    }
}

/// All bits where `label` is of `cluster`.
#[inline(always)]
fn mask(cluster: u64, label: u64) -> i64 {
    -i64::from(label == cluster)
}

/// Adds the columns and the count of rows to the line of each row's label, even and odd rows to
/// tables of their own: neighbours often share a label, and an addition waits for the last one.
///
/// Wider instructions gain nothing here, so it is not a [`Task`].
fn scatter(columns: &[Lanes<i64>], labels: &Lanes<u64>, rows: usize, table: &mut [i64]) {
    macro_rules! few {
        ($c:literal) => {
            scatter_few::<$c>(columns.try_into().expect("matched"), labels, rows, table)
        };
    }
    match columns.len() {
        2 => few!(2),
        3 => few!(3),
        4 => few!(4),
        5 => few!(5),
        6 => few!(6),
        7 => few!(7),
        8 => few!(8),
        9 => few!(9),
        _ => scatter_many(columns, labels, rows, table),
    }
}

fn scatter_few<const C: usize>(
    columns: &[Lanes<i64>; C],
    labels: &Lanes<u64>,
    rows: usize,
    table: &mut [i64],
) {
    debug_assert!(rows <= BLOCK);
    let (even, odd) = table.split_at_mut(table.len() / 2);
    let add = |table: &mut [i64], row: usize| {
        #[expect(clippy::cast_possible_truncation, reason = "a cluster number")]
        let line = &mut table[labels[row] as usize * (C + 1)..][..C + 1];
        for (sum, column) in line.iter_mut().zip(columns) {
            *sum = sum.wrapping_add(column[row]);
        }
        line[C] += 1;
    };
    for row in (0..rows - rows % 2).step_by(2) {
        add(even, row);
        add(odd, row + 1);
    }
    if !rows.is_multiple_of(2) {
        add(even, rows - 1);
    }
}

/// [`scatter`] for any number of columns.
fn scatter_many(columns: &[Lanes<i64>], labels: &Lanes<u64>, rows: usize, table: &mut [i64]) {
    let width = columns.len() + 1;
    for (row, label) in labels[..rows].iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "a cluster number")]
        let line = &mut table[*label as usize * width..][..width];
        for (sum, column) in line.iter_mut().zip(columns) {
            *sum = sum.wrapping_add(column[row]);
        }
        line[width - 1] += 1;
    }
}
