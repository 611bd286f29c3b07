//! Blocks on the whole sky: Mollweide's ellipse in ICRS, right ascension growing to the left with 0 in
//! the middle, colour by own rows.
//!
//! A block becomes a shape in right ascension and declination by walking its border in steps of a
//! degree, without jumps at 0/360; a pole inside closes the shape along the pole. Then the shape is
//! cut at the edges of the ellipse and drawn in every turn that meets it.

use super::picture::{Picture, thousands};
use super::{DrawnBlock, mollweide};
use crate::grid::{Bounds, Frame};

/// The longest step along a border, in degrees.
const STEP_DEG: f64 = 1.0;
/// Pixels of a unit of the projection, and its middle.
const SCALE: f64 = 180.0;
const MIDDLE: (f64, f64) = (550.0, 320.0);
/// From few rows to many.
const COLOURS: [[f64; 3]; 5] = [
    [247.0, 251.0, 210.0],
    [161.0, 218.0, 180.0],
    [65.0, 182.0, 196.0],
    [44.0, 127.0, 184.0],
    [37.0, 52.0, 148.0],
];
/// Blocks whose ids are written into them, at most.
const NAMED: usize = 60;
/// From this part of the colours on they are dark.
const DARK_FROM: f64 = 0.6;
/// Above this ratio of rows, colours follow the logarithm.
const LOG_ABOVE: f64 = 100.0;

/// The figure of these blocks of a grid in `frame`.
pub fn sky_map(title: &str, frame: Frame, blocks: &[DrawnBlock]) -> Picture {
    let mut picture = Picture::new(1100.0, 640.0);
    picture.words((30.0, 28.0), "start", title);
    picture.path(&outline(), true, "fill=\"#f4f4f4\" stroke=\"none\"");
    let scale = Scale::of(blocks);
    for block in blocks {
        let fill =
            if block.own_rows == 0 { "none".to_owned() } else { scale.colour(block.own_rows) };
        let stroke = if block.is_dense { "#b22222" } else { "#666666" };
        let width = if block.is_dense { 1.5 } else { 0.3 };
        let style = format!("fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{width}\"");
        for shape in shapes(frame, &block.bounds) {
            picture.path(&shape, true, &style);
        }
    }
    graticule(&mut picture);
    picture.path(&outline(), true, "fill=\"none\" stroke=\"black\"");
    scale.legend(&mut picture);
    let signs = [
        (blocks.iter().any(|block| block.own_rows == 0), "outlined: no own rows"),
        (blocks.iter().any(|block| block.is_dense), "red: more than asked for"),
    ];
    let signs: Vec<&str> =
        signs.iter().filter(|(is_there, _)| *is_there).map(|(_, sign)| *sign).collect();
    picture.words((350.0, 632.0), "start", &signs.join("; "));
    if blocks.len() <= NAMED {
        for block in blocks {
            name(&mut picture, frame, block, &scale);
        }
    }
    picture
}

/// The id of a block, in its middle.
fn name(picture: &mut Picture, frame: Frame, block: &DrawnBlock, scale: &Scale) {
    let Bounds { lon_min, lon_max, lat_min, lat_max } = block.bounds;
    let (lon, lat) = (f64::midpoint(lon_min, lon_max), f64::midpoint(lat_min, lat_max));
    let (ra, dec) = match frame {
        Frame::Equatorial => (lon, lat),
        _ => frame.to_equatorial(lon, lat),
    };
    let (x, y) = pixel(((ra + 180.0).rem_euclid(360.0) - 180.0, dec));
    let colour = if scale.part(block.own_rows) > DARK_FROM { "#ffd9a8" } else { "#b04a00" };
    picture.words_in((x, y + 4.0), "middle", &block.id.to_string(), colour);
}

/// Which rows have which colour.
struct Scale {
    min: f64,
    max: f64,
    is_log: bool,
}

impl Scale {
    fn of(blocks: &[DrawnBlock]) -> Self {
        let rows = || blocks.iter().map(|block| block.own_rows).filter(|rows| *rows > 0);
        let (min, max) = (rows().min().unwrap_or(1) as f64, rows().max().unwrap_or(1) as f64);
        Self { min, max, is_log: max / min > LOG_ABOVE }
    }

    fn colour(&self, rows: u64) -> String {
        colour_at(self.part(rows))
    }

    /// Where in the colours a number of rows is, from 0 to 1.
    fn part(&self, rows: u64) -> f64 {
        let of = |rows: f64| if self.is_log { rows.ln() } else { rows };
        let range = of(self.max) - of(self.min);
        if range > 0.0 { (of(rows as f64) - of(self.min)) / range } else { 1.0 }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rows")]
    fn legend(&self, picture: &mut Picture) {
        for step in 0..100 {
            let part = f64::from(step) / 100.0;
            picture.bar(350.0 + part * 400.0, 598.0, 4.5, 14.0, &colour_at(part));
        }
        picture.words((344.0, 610.0), "end", &thousands(self.min as u64));
        let law = if self.is_log { " own rows (logarithmic)" } else { " own rows" };
        picture.words((756.0, 610.0), "start", &(thousands(self.max as u64) + law));
    }
}

fn colour_at(part: f64) -> String {
    let place = part.clamp(0.0, 1.0) * 4.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3")]
    let low = place.floor().min(3.0) as usize;
    let between = place - low as f64;
    let mixed = [0, 1, 2]
        .map(|i| (COLOURS[low][i] + (COLOURS[low + 1][i] - COLOURS[low][i]) * between).round());
    format!("rgb({},{},{})", mixed[0], mixed[1], mixed[2])
}

/// Pixels of a position, longitude -180..=180.
fn pixel((lon, lat): (f64, f64)) -> (f64, f64) {
    let (x, y) = mollweide(lon, lat);
    (MIDDLE.0 - x * SCALE, MIDDLE.1 - y * SCALE)
}

/// The ellipse.
fn outline() -> Vec<(f64, f64)> {
    let lats = (-90..=90).map(f64::from);
    let east = lats.clone().map(|lat| (180.0, lat));
    east.chain(lats.rev().map(|lat| (-180.0, lat))).map(pixel).collect()
}

fn graticule(picture: &mut Picture) {
    let style = "fill=\"none\" stroke=\"#8a5a9e\" stroke-opacity=\"0.55\" stroke-width=\"0.6\" \
                 stroke-dasharray=\"1 4\"";
    for lon in (-150..180).step_by(30) {
        let line: Vec<_> = (-90..=90).map(|lat| pixel((f64::from(lon), f64::from(lat)))).collect();
        picture.faint(&line, false, style);
        if lon % 60 == 0 {
            let (x, y) = pixel((f64::from(lon), 0.0));
            let label = format!("{}°", (lon + 360) % 360);
            picture.words_in((x + 3.0, y - 3.0), "start", &label, "#000000");
        }
    }
    for lat in (-60..=60).step_by(30) {
        let line: Vec<_> =
            (-180..=180).map(|lon| pixel((f64::from(lon), f64::from(lat)))).collect();
        picture.faint(&line, false, style);
        let (x, y) = pixel((-180.0, f64::from(lat)));
        let (anchor, x) = if lat == 0 { ("start", x + 6.0) } else { ("start", x + 4.0) };
        picture.words((x, y + 4.0), anchor, &format!("{lat}°"));
    }
}

/// The shapes of a block on the ellipse, in pixels.
fn shapes(frame: Frame, bounds: &Bounds) -> Vec<Vec<(f64, f64)>> {
    let border = unwrapped(frame, bounds);
    let low = border.iter().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let high = border.iter().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max);
    let turns = (-3..=3).map(|turn| f64::from(turn) * 360.0);
    let meets = turns.filter(|turn| low + turn < 180.0 && high + turn > -180.0);
    meets
        .map(|turn| {
            let moved: Vec<_> = border.iter().map(|(lon, lat)| (lon + turn, *lat)).collect();
            let cut = clipped(&clipped(&moved, -180.0, true), 180.0, false);
            densified(&cut).into_iter().map(pixel).collect::<Vec<_>>()
        })
        .filter(|shape: &Vec<_>| shape.len() > 2)
        .collect()
}

/// The border in ICRS, each longitude the nearest to the one before.
fn unwrapped(frame: Frame, bounds: &Bounds) -> Vec<(f64, f64)> {
    let Bounds { lon_min, lon_max, lat_min, lat_max } = *bounds;
    let corners = [(lon_min, lat_min), (lon_max, lat_min), (lon_max, lat_max), (lon_min, lat_max)];
    let mut border: Vec<(f64, f64)> = Vec::new();
    let closed = densified(&corners);
    for (lon, lat) in closed.iter().chain(closed.first()) {
        let (mut ra, dec) = match frame {
            Frame::Equatorial => (*lon, *lat),
            _ => frame.to_equatorial(*lon, *lat),
        };
        if frame != Frame::Equatorial
            && let Some((before, _)) = border.last()
        {
            ra += 360.0 * ((before - ra) / 360.0).round();
        }
        border.push((ra, dec));
    }
    let (first, last) = (border[0], border[border.len() - 1]);
    // Once around: a pole is inside, and the shape goes on to it.
    if frame != Frame::Equatorial && (last.0 - first.0).abs() > 180.0 {
        let (lon, lat) = frame.from_equatorial(0.0, 90.0);
        let turns = [lon - 360.0, lon, lon + 360.0];
        let has_north = turns.iter().any(|lon| (lon_min..=lon_max).contains(lon))
            && (lat_min..=lat_max).contains(&lat);
        let pole = if has_north { 90.0 } else { -90.0 };
        border.extend([(last.0, pole), (first.0, pole)]);
    }
    border
}

/// The same closed shape with no step above [`STEP_DEG`].
fn densified(shape: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut dense = Vec::new();
    for (index, from) in shape.iter().enumerate() {
        let to = shape[(index + 1) % shape.len()];
        let longest = (to.0 - from.0).abs().max((to.1 - from.1).abs());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 1000")]
        let steps = (longest / STEP_DEG).ceil().clamp(1.0, 1000.0) as u32;
        dense.extend((0..steps).map(|step| {
            let part = f64::from(step) / f64::from(steps);
            (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
        }));
    }
    dense
}

/// The part of a shape above (or below) a longitude (I. Sutherland and G. Hodgman, CACM 17, 1974).
fn clipped(shape: &[(f64, f64)], at: f64, above: bool) -> Vec<(f64, f64)> {
    let is_in = |point: &(f64, f64)| if above { point.0 >= at } else { point.0 <= at };
    let mut kept = Vec::with_capacity(shape.len());
    for (index, to) in shape.iter().enumerate() {
        let from = &shape[(index + shape.len() - 1) % shape.len()];
        if is_in(from) != is_in(to) {
            let part = (at - from.0) / (to.0 - from.0);
            kept.push((at, from.1 + (to.1 - from.1) * part));
        }
        if is_in(to) {
            kept.push(*to);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The area of a shape, by the trapezoids under its edges.
    fn area(shape: &[(f64, f64)]) -> f64 {
        let edges = shape.iter().zip(shape.iter().cycle().skip(1));
        edges.map(|(a, b)| (b.0 - a.0) * (a.1 + b.1) / 2.0).sum::<f64>().abs()
    }

    // The shapes of a grid over the sky cover the ellipse once;
    // its half axes are 2√2 and √2, so its area is 4π.
    #[rstest]
    #[case(Frame::Equatorial)]
    #[case(Frame::Ecliptic)]
    #[case(Frame::Galactic)]
    fn blocks_of_the_sky_cover_the_ellipse(#[case] frame: Frame) {
        let mut covered = 0.0;
        for column in 0..9 {
            for row in 0..7 {
                let (lon, lat) = (f64::from(column) * 40.0, f64::from(row) * 180.0 / 7.0 - 90.0);
                let bounds = Bounds {
                    lon_min: lon,
                    lon_max: lon + 40.0,
                    lat_min: lat,
                    lat_max: (lat + 180.0 / 7.0).min(90.0),
                };
                covered += shapes(frame, &bounds).iter().map(|shape| area(shape)).sum::<f64>();
            }
        }
        let ellipse = std::f64::consts::PI * 4.0 * SCALE * SCALE;
        assert!((covered / ellipse - 1.0).abs() < 0.002, "{covered} of {ellipse}");
    }
}
