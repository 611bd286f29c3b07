//! A box with ticks at round numbers.

use super::svg::Svg;

/// Where a picture has its box, and which numbers are at its edges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axes {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Axes {
    /// The pixel of a place.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |value: f64, (from, to): (f64, f64)| (value - from) / (to - from);
        let across = part(x, self.x) * self.width;
        let up = part(y, self.y) * self.height;
        (self.left + across, self.top + self.height - up)
    }

    /// Draws the lines and their numbers.
    pub(super) fn draw(&self, svg: &mut Svg, x_name: &str, y_name: &str) {
        let grey = "stroke=\"#dddddd\"";
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for tick in ticks(self.x) {
            let (x, _) = self.at(tick, self.y.0);
            svg.line((x, self.top), (x, bottom), grey);
            svg.words((x, bottom + 16.0), "middle", &number(tick));
        }
        for tick in ticks(self.y) {
            let (_, y) = self.at(self.x.0, tick);
            svg.line((self.left, y), (right, y), grey);
            svg.words((self.left - 6.0, y + 4.0), "end", &number(tick));
        }
        svg.words((self.left + self.width / 2.0, bottom + 34.0), "middle", x_name);
        svg.words((self.left, self.top - 8.0), "start", y_name);
    }
}

/// About six round numbers in a range, whose ends may be in any order.
fn ticks((from, to): (f64, f64)) -> Vec<f64> {
    let (low, high) = (from.min(to), from.max(to));
    let rough = (high - low) / 6.0;
    if !(rough > 0.0 && rough.is_finite()) {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    (0..12_u8).map(|i| (first + f64::from(i)) * step).take_while(|tick| *tick <= high).collect()
}

/// A tick as text, without the noise of the last digits.
fn number(tick: f64) -> String {
    let short: f64 = format!("{tick:.6e}").parse().unwrap_or(tick);
    // No "-0".
    let short = short + 0.0;
    let magnitude = short.abs();
    match magnitude != 0.0 && !(1e-4..1e7).contains(&magnitude) {
        true => format!("{short:e}"),
        false => short.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 10.0)), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks((359.9, 0.3)).first().copied().map(number).as_deref(), Some("100"));
        assert_eq!(ticks((5.0, 5.0)), [5.0]);
        let found: Vec<String> = ticks((-0.25, 0.35)).into_iter().map(number).collect();
        assert_eq!(found, ["-0.2", "-0.1", "0", "0.1", "0.2", "0.3"]);
    }
}
