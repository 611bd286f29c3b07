//! A box with ticks at round numbers.

use super::picture::{Picture, thousands};

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

    /// Draws a frame, lines at round numbers, and these numbers.
    pub(super) fn draw(&self, picture: &mut Picture, x_name: &str, y_name: &str) {
        self.draw_with(picture, (x_name, y_name), &ticks(self.x), number);
    }

    /// The same for an x of whole numbers.
    pub(super) fn draw_whole(&self, picture: &mut Picture, x_name: &str, y_name: &str) {
        let whole: Vec<f64> =
            ticks(self.x).into_iter().filter(|tick| tick.fract() == 0.0).collect();
        self.draw_with(picture, (x_name, y_name), &whole, number);
    }

    /// The same, where x is an angle that may go on beyond a turn.
    pub(super) fn draw_turned(
        &self,
        picture: &mut Picture,
        x_name: &str,
        y_name: &str,
        is_turned: bool,
    ) {
        let turned = |tick: f64| number(if is_turned { tick.rem_euclid(360.0) } else { tick });
        self.draw_with(picture, (x_name, y_name), &ticks(self.x), turned);
    }

    fn draw_with(
        &self,
        picture: &mut Picture,
        (x_name, y_name): (&str, &str),
        x_ticks: &[f64],
        x_number: impl Fn(f64) -> String,
    ) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for &tick in x_ticks {
            let (x, _) = self.at(tick, self.y.0);
            picture.grid((x, self.top), (x, bottom));
            picture.words((x, bottom + 16.0), "middle", &x_number(tick));
        }
        for tick in ticks(self.y) {
            let (_, y) = self.at(self.x.0, tick);
            picture.grid((self.left, y), (right, y));
            picture.words((self.left - 6.0, y + 4.0), "end", &number(tick));
        }
        picture.path(
            &[(self.left, self.top), (self.left, bottom), (right, bottom)],
            false,
            "fill=\"none\" stroke=\"#888888\"",
        );
        picture.words((self.left + self.width / 2.0, bottom + 34.0), "middle", x_name);
        picture.words((self.left, self.top - 8.0), "start", y_name);
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
pub(super) fn number(tick: f64) -> String {
    let short: f64 = format!("{tick:.6e}").parse().unwrap_or(tick);
    // No "-0".
    let short = short + 0.0;
    let magnitude = short.abs();
    if (1e4..1e7).contains(&magnitude) && short.fract() == 0.0 {
        let sign = if short < 0.0 { "-" } else { "" };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 10^7")]
        return format!("{sign}{}", thousands(magnitude as u64));
    }
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
        let found = [-20000.0, 1_356_000.0, 1e7, 1234.5].map(number);
        assert_eq!(found, ["-20,000", "1,356,000", "1e7", "1234.5"]);
        let found: Vec<String> = ticks((-0.25, 0.35)).into_iter().map(number).collect();
        assert_eq!(found, ["-0.2", "-0.1", "0", "0.1", "0.2", "0.3"]);
    }
}
