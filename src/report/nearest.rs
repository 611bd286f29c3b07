//! The distance to the k-th nearest row, sorted: the share of core rows as a function of eps.

use super::axes::Axes;
use super::picture::Picture;

const LINE: &str = "stroke=\"#3b6ea5\" stroke-width=\"2\" fill=\"none\"";
const MARK: &str = "stroke=\"#b22222\" stroke-dasharray=\"5 3\"";
/// Points of the curve at most.
const MAX_POINTS: usize = 1000;

/// The figure of rising `distances`, with the eps of some shares in percent and the knee; `unit` is
/// empty or the unit of distances.
pub fn nearest(
    title: &str,
    distances: &[f64],
    shares: &[(u32, f64)],
    knee: f64,
    unit: &str,
) -> Picture {
    let mut picture = Picture::new(860.0, 480.0);
    picture.words((80.0, 24.0), "start", title);
    let largest = distances.last().copied().unwrap_or_default();
    let top = if largest > 0.0 { largest * 1.05 } else { 1.0 };
    let (x, y) = ((0.0, 100.0), (0.0, top));
    let axes = Axes { left: 80.0, top: 50.0, width: 560.0, height: 360.0, x, y };
    let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
    axes.draw(&mut picture, "rows that are core (%)", &format!("eps{unit}"));
    let step = distances.len().div_ceil(MAX_POINTS).max(1);
    let last = distances.len().saturating_sub(1);
    let ranks = (0..distances.len()).step_by(step).chain([last]).filter(|rank| *rank <= last);
    let points = ranks.filter_map(|rank| {
        let share = 100.0 * (rank + 1) as f64 / distances.len() as f64;
        Some(axes.at(share, *distances.get(rank)?))
    });
    picture.path(&points.collect::<Vec<_>>(), false, LINE);
    let (_, at) = axes.at(0.0, knee);
    picture.line((axes.left, at), (axes.left + axes.width, at), MARK);
    picture.words((660.0, 66.0), "start", &format!("knee: eps {}", short(knee)));
    for (line, (share, eps)) in (0_u8..).zip(shares) {
        let place = (660.0, 90.0 + 20.0 * f64::from(line));
        picture.words(place, "start", &format!("{share} % core: eps {}", short(*eps)));
    }
    picture
}

/// Four digits are enough for advice.
pub fn short(distance: f64) -> String {
    format!("{distance:.3e}").parse::<f64>().unwrap_or(distance).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_and_its_advice_are_drawn() {
        let distances: Vec<f64> = (1..=5000).map(|i| f64::from(i) / 100.0).collect();
        let picture = nearest("points", &distances, &[(90, 45.0)], 31.415_926, "arcsec").svg();
        assert!(picture.contains("90 % core: eps 45") && picture.contains("knee: eps 31.42"));
        assert!(picture.contains("eps (arcsec)") && picture.matches('L').count() >= 1000);
        assert!(!nearest("one", &[0.0], &[], 0.0, "").svg().contains("NaN"));
    }
}
