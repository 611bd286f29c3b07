//! Lines that are cut, as a sender that dies leaves them.

use super::draws::Column;
use super::iot::below;

/// Which lines are cut, and where.
#[derive(Clone, Copy, Debug)]
pub struct Broken {
    bits: Column,
    /// Of 2^64.
    chances: u64,
}

impl Broken {
    /// Cuts the share `share` of all lines, between 0 and 1.
    pub fn new(seed: u64, share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 2^64, at most all"
        )]
        let chances = (share.clamp(0.0, 1.0) * 2.0_f64.powi(64)) as u64;
        Self { bits: Column::new(seed, "broken"), chances }
    }

    /// How many of the bytes of line `number` stay: at least one, and all of most lines.
    pub fn kept(&self, number: u64, bytes: usize) -> usize {
        let mut draws = self.bits.at(number);
        if below(&mut draws, u64::MAX) >= self.chances || bytes < 2 {
            return bytes;
        }
        let bytes = u64::try_from(bytes - 1).unwrap_or(u64::MAX);
        usize::try_from(1 + below(&mut draws, bytes)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_lines_is_cut() {
        let cut = |share| {
            let broken = Broken::new(1, share);
            let kept = (0..10_000).map(|number| broken.kept(number, 20));
            kept.inspect(|kept| assert!((1..=20).contains(kept))).filter(|kept| *kept < 20).count()
        };
        assert_eq!((cut(0.0), cut(1.0)), (0, 10_000));
        assert!((60..140).contains(&cut(0.01)), "{}", cut(0.01));
    }
}
