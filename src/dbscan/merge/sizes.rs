//! What is known of a cluster: rows, cores, the box around it and its mean.
//!
//! Sums are whole numbers: a coordinate is rounded to a multiple of a power of two, 2^-61 of the
//! largest coordinate or finer. So they are the same in any order, and a mean is off by as little.

/// Turns coordinates into whole numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    factor: f64,
}

impl Scale {
    /// For coordinates of magnitude `largest` at most.
    pub(crate) fn new(largest: f64) -> Self {
        let bits = if largest > 0.0 { largest.log2().ceil() } else { 0.0 };
        // A factor beyond the range of float64 would be none.
        Self { factor: 2f64.powf((61.0 - bits).clamp(-1000.0, 1000.0)) }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the scale keeps it below 2^62")]
    fn whole(self, x: f64) -> i128 {
        i128::from((x * self.factor).round_ties_even() as i64)
    }

    fn mean(self, sum: i128, rows: u64) -> f64 {
        (sum / i128::from(rows)) as f64 / self.factor
    }
}

/// A cluster, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ClusterSize<const D: usize> {
    pub(crate) rows: u64,
    pub(crate) cores: u64,
    pub(crate) lo: [f64; D],
    pub(crate) hi: [f64; D],
    pub(crate) sums: [i128; D],
}

impl<const D: usize> ClusterSize<D> {
    /// Words it is kept in.
    pub(crate) const WORDS: usize = 2 + 4 * D;

    /// Of no row.
    pub(crate) const NONE: Self = Self {
        rows: 0,
        cores: 0,
        lo: [f64::INFINITY; D],
        hi: [f64::NEG_INFINITY; D],
        sums: [0; D],
    };

    /// Adds rows at a place.
    #[inline]
    pub(crate) fn add(&mut self, place: &[f64; D], rows: u64, scale: Scale) {
        self.rows += rows;
        for (k, x) in place.iter().copied().enumerate() {
            self.lo[k] = self.lo[k].min(x);
            self.hi[k] = self.hi[k].max(x);
            self.sums[k] += scale.whole(x) * i128::from(rows);
        }
    }

    /// Adds another part.
    pub(crate) fn join(&mut self, other: &Self) {
        self.rows += other.rows;
        self.cores += other.cores;
        for k in 0..D {
            self.lo[k] = self.lo[k].min(other.lo[k]);
            self.hi[k] = self.hi[k].max(other.hi[k]);
            self.sums[k] += other.sums[k];
        }
    }

    /// The mean of its rows, of which there is one at least.
    pub(crate) fn mean(&self, scale: Scale) -> [f64; D] {
        self.sums.map(|sum| scale.mean(sum, self.rows))
    }

    /// It as words.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the two halves of a sum"
    )]
    pub(crate) fn write(&self, words: &mut Vec<u64>) {
        words.extend([self.rows, self.cores]);
        for k in 0..D {
            words.extend([self.lo[k].to_bits(), self.hi[k].to_bits()]);
            words.extend([self.sums[k] as u64, (self.sums[k] >> 64) as u64]);
        }
    }

    /// The size of [`Self::write`].
    pub(crate) fn read(words: &[u64]) -> Self {
        let of = |k: usize| &words[2 + 4 * k..6 + 4 * k];
        Self {
            rows: words[0],
            cores: words[1],
            lo: std::array::from_fn(|k| f64::from_bits(of(k)[0])),
            hi: std::array::from_fn(|k| f64::from_bits(of(k)[1])),
            sums: std::array::from_fn(|k| {
                i128::from(of(k)[3].cast_signed()) << 64 | i128::from(of(k)[2])
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_does_not_depend_on_the_order_and_reads_back() {
        let places = [[0.1, -3e9], [0.2, 7.0], [0.3, 1e-9]];
        let scale = Scale::new(3e9);
        let (mut there, mut back) = (ClusterSize::NONE, ClusterSize::NONE);
        places.iter().for_each(|place| there.add(place, 2, scale));
        places.iter().rev().for_each(|place| back.add(place, 2, scale));
        assert_eq!(there, back);
        let mut words = Vec::new();
        there.write(&mut words);
        assert_eq!((ClusterSize::read(&words), words.len()), (there, ClusterSize::<2>::WORDS));
        let [x, y] = there.mean(scale);
        assert!((x - 0.2).abs() < 1e-8 && (y + 1e9 - 7.0 / 3.0).abs() < 1e-5, "{x} {y}");
    }
}
