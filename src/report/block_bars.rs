//! Rows of each block as bars, own and margin rows stacked, by id and once more sorted, with the line
//! that no block should pass.

use super::DrawnBlock;
use super::picture::{Picture, thousands};

const OWN: &str = "#3b6ea5";
const MARGIN: &str = "#e8a33d";
/// The two fields of bars: left edges, and the width of each.
const LEFT: [f64; 2] = [70.0, 600.0];
const WIDTH: f64 = 480.0;
const TOP: f64 = 50.0;
/// The width of a bar that has room for an id.
const ID_WIDTH: f64 = 16.0;
const HEIGHT: f64 = 300.0;

/// The figure of these blocks; `max_rows` draws the line.
pub fn block_bars(title: &str, blocks: &[DrawnBlock], max_rows: Option<u64>) -> Picture {
    let mut picture = Picture::new(1110.0, 440.0);
    picture.words((LEFT[0], 24.0), "start", title);
    let max = blocks.iter().map(|block| block.own_rows + block.margin_rows).max();
    let top = ceiling(max.unwrap_or_default().max(max_rows.unwrap_or_default()).max(1));
    let mut sorted: Vec<&DrawnBlock> = blocks.iter().collect();
    sorted.sort_by_key(|block| (std::cmp::Reverse(block.own_rows), block.id));
    let by_id: Vec<&DrawnBlock> = blocks.iter().collect();
    for (left, blocks, name) in
        [(LEFT[0], &by_id, "blocks by id"), (LEFT[1], &sorted, "blocks by own rows")]
    {
        axes(&mut picture, left, top, name);
        bars(&mut picture, left, top, blocks);
        if let Some(max_rows) = max_rows {
            let y = height_of(max_rows, top);
            let style = "stroke=\"#b22222\" stroke-dasharray=\"5 3\"";
            picture.line((left, y), (left + WIDTH, y), style);
            if left > LEFT[0] {
                let label = format!("max {}", thousands(max_rows));
                picture.words((left + WIDTH, y - 4.0), "end", &label);
            }
        }
    }
    legend(&mut picture);
    picture.words((LEFT[0], 425.0), "start", &figures(blocks));
    picture
}

fn height_of(rows: u64, top: u64) -> f64 {
    TOP + HEIGHT - HEIGHT * rows as f64 / top as f64
}

/// The next number that is five times a round one: for five lines.
fn ceiling(rows: u64) -> u64 {
    let fifth = rows.div_ceil(5).max(1);
    let mut step: u64 = 1;
    loop {
        // 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 and 10 times a power of ten.
        for tenth in [10, 12, 15, 20, 25, 30, 40, 50, 60, 80] {
            let round = step.saturating_mul(tenth);
            if round.is_multiple_of(10) && round / 10 >= fifth {
                return (round / 10).saturating_mul(5);
            }
        }
        step = step.saturating_mul(10);
    }
}

fn axes(picture: &mut Picture, left: f64, top: u64, name: &str) {
    for fifth in 0..=5 {
        let rows = top / 5 * fifth + top % 5 * fifth / 5;
        let y = height_of(rows, top);
        picture.grid((left, y), (left + WIDTH, y));
        picture.words((left - 6.0, y + 4.0), "end", &thousands(rows));
    }
    picture.words((left + WIDTH / 2.0, TOP + HEIGHT + 32.0), "middle", name);
}

fn bars(picture: &mut Picture, left: f64, top: u64, blocks: &[&DrawnBlock]) {
    let step = WIDTH / blocks.len().max(1) as f64;
    let width = if step > 4.0 { step - 1.0 } else { step };
    for (index, block) in blocks.iter().enumerate() {
        let x = left + step * index as f64;
        let own = height_of(block.own_rows, top);
        let all = height_of(block.own_rows + block.margin_rows, top);
        picture.bar(x, own, width, TOP + HEIGHT - own, OWN);
        picture.bar(x, all, width, own - all, MARGIN);
        if step >= ID_WIDTH {
            let middle = x + width / 2.0;
            picture.words((middle, TOP + HEIGHT + 13.0), "middle", &block.id.to_string());
        }
    }
}

fn legend(picture: &mut Picture) {
    for (left, colour, name) in
        [(LEFT[1], OWN, "own rows"), (LEFT[1] + 90.0, MARGIN, "margin rows")]
    {
        picture.bar(left, 14.0, 12.0, 12.0, colour);
        picture.words((left + 18.0, 24.0), "start", name);
    }
}

/// Own rows in one line.
fn figures(blocks: &[DrawnBlock]) -> String {
    let mut rows: Vec<u64> = blocks.iter().map(|block| block.own_rows).collect();
    rows.sort_unstable();
    let (Some(min), Some(max)) = (rows.first(), rows.last()) else { return "no blocks".into() };
    let mean = rows.iter().sum::<u64>() as f64 / rows.len() as f64;
    let empty = rows.iter().filter(|rows| **rows == 0).count();
    format!(
        "{} blocks, own rows: min {}, median {}, mean {mean:.1}, max {}, max / mean {:.2}, empty \
         {empty}, margin rows {}",
        thousands(rows.len() as u64),
        thousands(*min),
        thousands(rows[rows.len() / 2]),
        thousands(*max),
        *max as f64 / mean.max(f64::MIN_POSITIVE),
        thousands(blocks.iter().map(|block| block.margin_rows).sum()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_above() {
        let found = [1, 5, 6, 11, 99, 101, 175_001].map(ceiling);
        assert_eq!(found, [5, 5, 10, 15, 100, 125, 200_000]);
    }
}
