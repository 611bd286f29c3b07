//! Curves over whole numbers: cost and silhouette of each k, cost and movement of each step.

use super::axes::{Axes, number};
use super::picture::{Picture, colour};

const LEFT: f64 = 90.0;
const WIDTH: f64 = 460.0;
/// Where the second field begins.
const SECOND: f64 = 660.0;
const TOP: f64 = 56.0;
const HEIGHT: f64 = 300.0;
/// From a row of fields to the next.
const ROW: f64 = HEIGHT + 80.0;

/// A line of places, and what it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name; empty for the only one.
    pub name: String,
    /// x, y, in the order of x.
    pub points: Vec<(f64, f64)>,
}

/// Cost over k, and beside it the silhouette over k, if there is one: `silhouette` has its name.
pub fn elbow(
    title: &str,
    cost: &[(f64, f64)],
    silhouette: Option<(&str, &[(f64, f64)])>,
) -> Picture {
    let one = |points: &[(f64, f64)]| [Curve { name: String::new(), points: points.to_vec() }];
    let mut picture = sheet(title, 1 + usize::from(silhouette.is_some()));
    field(&mut picture, (LEFT, TOP), ("k", "cost"), &one(cost), Floor::Zero);
    if let Some((name, points)) = silhouette {
        field(&mut picture, (SECOND, TOP), ("k", name), &one(points), Floor::Data);
    }
    picture
}

/// Cost over steps and movement over steps, a curve a model; `movement` on a logarithmic axis.
pub fn steps(title: &str, cost: &[Curve], movement: &[Curve]) -> Picture {
    let mut picture = sheet(title, 2);
    field(&mut picture, (LEFT, TOP), ("step", "cost"), cost, Floor::Data);
    let logarithm = |curve: &Curve| {
        let above = curve.points.iter().filter(|(_, moved)| *moved > 0.0);
        Curve { points: above.map(|(x, y)| (*x, y.log10())).collect(), ..curve.clone() }
    };
    let movement: Vec<Curve> = movement.iter().map(logarithm).collect();
    field(
        &mut picture,
        (SECOND, TOP),
        ("step", "movement (powers of ten)"),
        &movement,
        Floor::Data,
    );
    picture
}

/// Several fields over the same axis, two in a row; those without a point are left out.
pub fn panels(title: &str, x_name: &str, panels: &[(&str, Vec<Curve>)]) -> Picture {
    let is_drawn =
        |(_, curves): &&(&str, Vec<Curve>)| curves.iter().any(|curve| !curve.points.is_empty());
    let drawn: Vec<_> = panels.iter().filter(is_drawn).collect();
    let mut picture = sheet(title, drawn.len());
    let mut place = (LEFT, TOP);
    for (name, curves) in drawn {
        field(&mut picture, place, (x_name, name), curves, Floor::Zero);
        place = match place {
            (LEFT, top) => (SECOND, top),
            (_, top) => (LEFT, top + ROW),
        };
    }
    picture
}

/// Room for so many fields, two in a row.
fn sheet(title: &str, fields: usize) -> Picture {
    let width = if fields > 1 { SECOND + WIDTH + 90.0 } else { LEFT + WIDTH + 90.0 };
    let more_rows = (1..fields.div_ceil(2)).map(|_| ROW).sum::<f64>();
    let mut picture = Picture::new(width, TOP + HEIGHT + 60.0 + more_rows);
    picture.words((LEFT, 24.0), "start", title);
    picture
}

/// Where an axis of y begins.
#[derive(Clone, Copy, PartialEq)]
enum Floor {
    Zero,
    Data,
}

fn field(
    picture: &mut Picture,
    (left, top): (f64, f64),
    (x_name, y_name): (&str, &str),
    curves: &[Curve],
    floor: Floor,
) {
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
    let x = range(all().map(|point| point.0));
    // Numbers at the first and the last place keep clear of the axis.
    let beside = (x.1 - x.0) * 0.06;
    let x = (x.0 - beside, x.1 + beside);
    let (low, high) = range(all().map(|point| point.1));
    let room = (high - low) * 0.1;
    let y = if floor == Floor::Zero && low >= 0.0 {
        (0.0, high + room)
    } else {
        (low - room, high + room)
    };
    let axes = Axes { left, top, width: WIDTH, height: HEIGHT, x, y };
    axes.draw_whole(picture, x_name, y_name);
    for (index, curve) in curves.iter().enumerate() {
        let colour = if curves.len() == 1 { "#3b6ea5".to_owned() } else { colour(index) };
        let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"");
        let places: Vec<_> = curve.points.iter().map(|(x, y)| axes.at(*x, *y)).collect();
        picture.path(&places, false, &style);
        picture.dots(&places, 5.0, &colour);
        let Some(end) = places.last() else { continue };
        if curves.len() <= 8 {
            picture.words((end.0 + 6.0, end.1 + 4.0), "start", &curve.name);
        }
        if curves.len() == 1 && curve.points.len() <= 16 {
            for (place, (_, value)) in places.iter().zip(&curve.points) {
                picture.words((place.0, place.1 - 8.0), "middle", &number(short(*value)));
            }
        }
    }
}

/// Four digits tell values of a curve apart.
fn short(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// From the least to the greatest value, never of width 0.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    match () {
        () if low < high => (low, high),
        () if low <= high => (low - 0.5, high + 0.5),
        () => (0.0, 1.0),
    }
}
