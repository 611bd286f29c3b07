//! Rows as dots in the colours of their clusters, noise in grey below them.

use super::axes::Axes;
use super::picture::{Picture, colour, thousands};

/// The longer side of the box.
const SIDE: f64 = 640.0;
/// The shorter side is at least this share of the longer one.
const NARROWEST: f64 = 0.25;
const NOISE: &str = "#c8c8c8";
const PLAIN: &str = "#3b6ea5";
/// The side of a dot.
const DOT: f64 = 2.2;
/// Clusters beyond this number share colours with others.
const COLOURS: usize = 360;
/// A gap of right ascension that moves the seam: rows all over the sky begin at 0.
const WIDE_DEG: f64 = 30.0;
/// Clusters that the legend names.
const NAMED: usize = 12;

/// What the two numbers of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Coordinates in one unit: both axes have one scale.
    Distances,
    /// Right ascension, which grows to the left, and declination, in degrees.
    Sky,
    /// Two columns of any units: each axis has a scale of its own.
    Columns,
}

/// A row of a picture: x, y and its cluster; -1 is noise, and without clusters it is `None`.
pub type Dot = (f64, f64, Option<i64>);

/// The figure of dots. `axes` names the coordinates.
pub fn scatter(title: &str, axes: &[String; 2], plane: Plane, dots: &[Dot]) -> Picture {
    let seam = (plane == Plane::Sky).then(|| seam(dots));
    let turned = |x: f64| if seam.is_some_and(|seam| x < seam) { x + 360.0 } else { x };
    let frame = frame(&dots.iter().map(|dot| (turned(dot.0), dot.1)), plane);
    let mut picture = Picture::new(frame.width + 210.0, frame.height + 110.0);
    picture.words((frame.left, 24.0), "start", title);
    frame.draw_turned(&mut picture, &axes[0], &axes[1], plane == Plane::Sky);
    let mut by_colour: Vec<Vec<(f64, f64)>> = vec![Vec::new(); COLOURS];
    let (mut noise, mut plain) = (Vec::new(), Vec::new());
    let mut clusters = std::collections::BTreeMap::<i64, u64>::new();
    for (x, y, cluster) in dots {
        let at = frame.at(turned(*x), *y);
        match cluster {
            None => plain.push(at),
            Some(cluster) => match usize::try_from(*cluster) {
                Ok(number) => {
                    *clusters.entry(*cluster).or_default() += 1;
                    by_colour[number % COLOURS].push(at);
                }
                Err(_below_zero) => noise.push(at),
            },
        }
    }
    picture.dots(&noise, DOT, NOISE);
    picture.dots(&plain, DOT, PLAIN);
    for (number, dots) in by_colour.iter().enumerate() {
        picture.dots(dots, DOT, &colour(number));
    }
    legend(&mut picture, &frame, &clusters, noise.len());
    let mut words = format!("{} rows shown", thousands(dots.len() as u64));
    if plain.is_empty() && !dots.is_empty() {
        let clustered = dots.len() - noise.len();
        words += &format!(": {} in clusters", thousands(clustered as u64));
        if !noise.is_empty() {
            words += &format!(", {} noise (grey)", thousands(noise.len() as u64));
        }
    }
    picture.words((frame.left, frame.top + frame.height + 54.0), "start", &words);
    picture
}

/// The clusters with most of the dots, and noise if there is any.
fn legend(
    picture: &mut Picture,
    frame: &Axes,
    clusters: &std::collections::BTreeMap<i64, u64>,
    noise: usize,
) {
    let mut largest: Vec<(&i64, &u64)> = clusters.iter().collect();
    largest.sort_by_key(|(cluster, rows)| (std::cmp::Reverse(**rows), **cluster));
    let mut named: Vec<&i64> = largest.iter().take(NAMED).map(|(cluster, _)| *cluster).collect();
    named.sort_unstable();
    let left = frame.left + frame.width + 14.0;
    let mut top = frame.top;
    for cluster in named {
        let number = usize::try_from(*cluster).unwrap_or_default();
        picture.bar(left, top, 10.0, 10.0, &colour(number % COLOURS));
        picture.words((left + 16.0, top + 9.0), "start", &format!("cluster {cluster}"));
        top += 17.0;
    }
    if clusters.len() > NAMED {
        let more = format!("and {} more", thousands((clusters.len() - NAMED) as u64));
        picture.words((left, top + 9.0), "start", &more);
        top += 17.0;
    }
    if noise > 0 {
        picture.bar(left, top, 10.0, 10.0, NOISE);
        picture.words((left + 16.0, top + 9.0), "start", "noise");
    }
}

/// The middle of the widest gap of right ascension, in degrees: what lies below it is drawn a turn further.
fn seam(dots: &[Dot]) -> f64 {
    let mut angles: Vec<f64> = dots.iter().map(|dot| dot.0.rem_euclid(360.0)).collect();
    angles.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (angles.first(), angles.last()) else { return 0.0 };
    let around = first + 360.0 - last;
    let widest = angles.windows(2).map(|pair| (pair[1] - pair[0], f64::midpoint(pair[0], pair[1])));
    match widest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((gap, middle)) if gap > around.max(WIDE_DEG) => middle,
        _ => 0.0,
    }
}

/// The box around all dots, as high and wide as they are; axes of one unit have one scale.
fn frame(dots: &(impl Iterator<Item = (f64, f64)> + Clone), plane: Plane) -> Axes {
    let range = |of: fn((f64, f64)) -> f64| {
        let low = dots.clone().map(of).fold(f64::INFINITY, f64::min);
        let high = dots.clone().map(of).fold(f64::NEG_INFINITY, f64::max);
        match () {
            () if low < high => (low - (high - low) * 0.02, high + (high - low) * 0.02),
            () if low <= high => (low - 0.5, high + 0.5),
            () => (0.0, 1.0),
        }
    };
    let (x, y) = (range(|dot| dot.0), range(|dot| dot.1));
    // A degree of right ascension is shorter towards the poles.
    let shrink = match plane {
        Plane::Sky => f64::midpoint(y.0, y.1).to_radians().cos().max(0.05),
        Plane::Distances | Plane::Columns => 1.0,
    };
    let ratio = match plane {
        Plane::Columns => 0.75,
        Plane::Distances | Plane::Sky => (y.1 - y.0) / ((x.1 - x.0) * shrink),
    };
    let (width, height) = match ratio {
        ratio if ratio <= 1.0 => (SIDE, SIDE * ratio.max(NARROWEST)),
        ratio => (SIDE * (1.0 / ratio).max(NARROWEST), SIDE),
    };
    let x = if plane == Plane::Sky { (x.1, x.0) } else { x };
    Axes { left: 80.0, top: 50.0, width, height, x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_grey_and_clusters_are_not() {
        let axes = ["x".to_owned(), "y".to_owned()];
        let dots = [(0.0, 0.0, Some(0)), (1.0, 1.0, Some(1)), (2.0, 0.0, Some(-1))];
        let picture = scatter("out", &axes, Plane::Distances, &dots).svg();
        assert!(picture.starts_with("<svg") && picture.contains("3 rows shown: 2 in clusters"));
        assert!(picture.contains("prefers-color-scheme:dark") && picture.contains("id=\"page\""));
        // Once as dots and once in the legend; clusters are drawn over noise.
        let (_style, drawn) = picture.split_once("</style>").unwrap();
        assert_eq!(drawn.matches(NOISE).count(), 2);
        assert_eq!(drawn.matches("hsl(").count(), 4);
        assert!(drawn.find(NOISE) < drawn.find("hsl("), "{picture}");
        let empty = scatter("nothing", &axes, Plane::Sky, &[]).svg();
        assert!(empty.contains("0 rows shown") && !empty.contains("NaN"), "{empty}");
    }

    /// Only an angle goes on at 0 after 360.
    #[test]
    fn coordinates_below_zero_stay_where_they_are() {
        let axes = ["x".to_owned(), "y".to_owned()];
        for plane in [Plane::Distances, Plane::Columns] {
            let svg = scatter("moons", &axes, plane, &[(-1.0, 0.0, None), (1.0, 1.0, None)]).svg();
            assert!(svg.contains(">-1<") && svg.contains(">1<") && !svg.contains(">300<"), "{svg}");
        }
    }

    #[test]
    fn rows_on_both_sides_of_0_degrees_are_drawn_together() {
        let dots = [(359.0, 0.0, None), (1.0, 0.5, None), (0.0, 1.0, None)];
        assert!((seam(&dots) - 180.0).abs() < 1.0);
        let picture = scatter("sky", &["ra".into(), "dec".into()], Plane::Sky, &dots);
        // Two degrees wide and one high.
        assert!(picture.height < picture.width, "{} x {}", picture.width, picture.height);
        let svg = picture.svg();
        assert!(svg.contains(">359.5<") && svg.contains(">0.5<"), "{svg}");
        assert!((seam(&[(10.0, 0.0, None), (50.0, 0.0, None)]) - 0.0).abs() < 1e-9);
    }
}
