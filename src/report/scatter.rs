//! Rows as dots in the colours of their clusters, noise in grey behind them.

use super::axes::Axes;
use super::svg::{Svg, thousands};

const SIDE: f64 = 640.0;
const NOISE: &str = "#c8c8c8";
/// The side of a dot.
const DOT: f64 = 2.2;
/// Clusters beyond this number share colours with others.
const COLOURS: usize = 360;

/// The figure of dots: x, y and cluster, -1 for noise. `axes` names the coordinates; on the sphere,
/// where `is_sky`, the first grows to the left.
pub fn scatter(title: &str, axes: &[String; 2], is_sky: bool, dots: &[(f64, f64, i64)]) -> String {
    let mut svg = Svg::new(SIDE + 110.0, SIDE + 110.0);
    svg.words((70.0, 24.0), "start", title);
    let frame = frame(dots, is_sky);
    frame.draw(&mut svg, &axes[0], &axes[1]);
    let mut by_colour: Vec<Vec<(f64, f64)>> = vec![Vec::new(); COLOURS];
    let mut noise = Vec::new();
    for (x, y, cluster) in dots {
        let at = frame.at(*x, *y);
        match usize::try_from(*cluster) {
            Ok(cluster) => by_colour[cluster % COLOURS].push(at),
            Err(_below_zero) => noise.push(at),
        }
    }
    let clustered = dots.len() - noise.len();
    svg.dots(&noise, DOT, NOISE);
    for (number, dots) in by_colour.iter().enumerate() {
        svg.dots(dots, DOT, &colour(number));
    }
    let words = format!(
        "{} rows shown: {} in clusters, {} noise (grey)",
        thousands(dots.len() as u64),
        thousands(clustered as u64),
        thousands(noise.len() as u64)
    );
    svg.words((70.0, SIDE + 100.0), "start", &words);
    svg.finish()
}

/// Hues a golden angle apart: neighbours in number are far apart in colour.
fn colour(cluster: usize) -> String {
    let hue = (cluster as f64 * 137.508) % 360.0;
    let light = [42, 55, 34][cluster % 3];
    format!("hsl({hue:.0},70%,{light}%)")
}

/// The box around all dots; in the plane both axes have one scale.
fn frame(dots: &[(f64, f64, i64)], is_sky: bool) -> Axes {
    let range = |of: &dyn Fn(&(f64, f64, i64)) -> f64| {
        let low = dots.iter().map(of).fold(f64::INFINITY, f64::min);
        let high = dots.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        if low <= high { (low, high) } else { (0.0, 1.0) }
    };
    let (x, y) = (range(&|dot| dot.0), range(&|dot| dot.1));
    let widest = (x.1 - x.0).max(y.1 - y.0);
    let widest = if widest > 0.0 { widest * 1.04 } else { 1.0 };
    let around = |(low, high): (f64, f64)| {
        let middle = f64::midpoint(low, high);
        (middle - widest / 2.0, middle + widest / 2.0)
    };
    let (x, y) = (around(x), around(y));
    let x = if is_sky { (x.1, x.0) } else { x };
    Axes { left: 70.0, top: 50.0, width: SIDE, height: SIDE, x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_grey_and_clusters_are_not() {
        let axes = ["x".to_owned(), "y".to_owned()];
        let dots = [(0.0, 0.0, 0), (1.0, 1.0, 1), (2.0, 0.0, -1)];
        let picture = scatter("out", &axes, false, &dots);
        assert!(picture.starts_with("<svg") && picture.contains("3 rows shown: 2 in clusters"));
        assert_eq!(picture.matches(NOISE).count(), 1);
        assert_eq!(picture.matches("hsl(").count(), 2);
        let empty = scatter("nothing", &axes, true, &[]);
        assert!(empty.contains("0 rows shown") && !empty.contains("NaN"), "{empty}");
    }
}
