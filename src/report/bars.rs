//! Bars: the share of each cluster in each partition, and how often values of a column occur.

use super::axes::Axes;
use super::picture::{Picture, colour, thousands};

const LEFT: f64 = 90.0;
const TOP: f64 = 50.0;

/// A partition: its name, and the rows of each cluster in it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionShares {
    /// Table and keys.
    pub name: String,
    /// Rows by the number of the cluster.
    pub rows: Vec<u64>,
}

/// One bar of 100 % for each partition, cut by the rows of its clusters.
pub fn partition_shares(title: &str, partitions: &[PartitionShares]) -> Picture {
    const BAR: f64 = 18.0;
    const NAMES: f64 = 190.0;
    const WIDTH: f64 = 560.0;
    let height = partitions.len() as f64 * (BAR + 6.0);
    let clusters = partitions.iter().map(|partition| partition.rows.len()).max().unwrap_or(0);
    let mut picture = Picture::new(NAMES + WIDTH + 200.0, TOP + height + 60.0);
    picture.words((20.0, 24.0), "start", title);
    for (index, partition) in partitions.iter().enumerate() {
        let top = TOP + index as f64 * (BAR + 6.0);
        picture.words((NAMES - 8.0, top + 13.0), "end", &partition.name);
        let whole = partition.rows.iter().sum::<u64>();
        let mut left = NAMES;
        for (cluster, rows) in partition.rows.iter().enumerate().filter(|_| whole > 0) {
            let width = WIDTH * *rows as f64 / whole as f64;
            picture.bar(left, top, width, BAR, &colour(cluster));
            left += width;
        }
        let rows = format!("{} rows", thousands(whole));
        picture.words((NAMES + WIDTH + 8.0, top + 13.0), "start", &rows);
    }
    let bottom = TOP + height + 16.0;
    for tenth in (0..=100).step_by(20) {
        let x = NAMES + WIDTH * f64::from(tenth) / 100.0;
        picture.words((x, bottom), "middle", &format!("{tenth} %"));
    }
    const SHOWN: usize = 16;
    for cluster in 0..clusters.min(SHOWN) {
        let x = NAMES + cluster as f64 * 44.0;
        picture.bar(x, bottom + 14.0, 12.0, 12.0, &colour(cluster));
        picture.words((x + 16.0, bottom + 24.0), "start", &cluster.to_string());
    }
    picture.words((NAMES - 8.0, bottom + 24.0), "end", "cluster");
    picture
}

/// Rows in boxes of equal width between `range`; `left_out` are rows without a finite value.
pub fn histogram(
    title: &str,
    column: &str,
    range: (f64, f64),
    rows: &[u64],
    left_out: u64,
) -> Picture {
    let (width, height) = (640.0, 320.0);
    let mut picture = Picture::new(LEFT + width + 40.0, TOP + height + 80.0);
    picture.words((LEFT, 24.0), "start", title);
    let most = rows.iter().copied().max().unwrap_or(0).max(1);
    let x = if range.0 < range.1 { range } else { (range.0 - 0.5, range.1 + 0.5) };
    let y = (0.0, most as f64 * 1.05);
    let axes = Axes { left: LEFT, top: TOP, width, height, x, y };
    axes.draw(&mut picture, column, "rows");
    let step = width / rows.len().max(1) as f64;
    for (index, count) in rows.iter().enumerate() {
        let (_, top) = axes.at(x.0, *count as f64);
        let left = LEFT + step * index as f64;
        picture.bar(left, top, step - 1.0, TOP + height - top, "#3b6ea5");
    }
    let mut words = format!("{} rows", thousands(rows.iter().sum()));
    if left_out > 0 {
        words += &format!(", {} without a finite value", thousands(left_out));
    }
    picture.words((LEFT, TOP + height + 66.0), "start", &words);
    picture
}
