//! Random bits by position: what stands at a row of a column depends on the seed, the column's name
//! and the row number, and on nothing that was drawn before.
//!
//! So any slice of a table can be made alone. The bits are SplitMix64 (Steele, Lea and Flood, OOPSLA
//! 2014, doi:10.1145/2660193.2660195, constants of their figure 17), started once a value from a key
//! that is itself mixed: neighbouring rows share no state. All of it is integer arithmetic modulo
//! 2^64, the same on every machine.

use std::convert::Infallible;

use rand::TryRng;

/// The step of SplitMix64: 2^64 divided by the golden ratio, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A column of random values, known by the seed and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    key: u64,
}

impl Column {
    /// The column called `name`, which is unique among all generators: `people.table1.age`.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let key = name.bytes().fold(mix(seed.wrapping_add(GAMMA)), |key, byte| {
            mix((key ^ u64::from(byte)).wrapping_add(GAMMA))
        });
        Self { key }
    }

    /// The random bits behind the value at `row`.
    #[inline]
    pub(super) fn at(self, row: u64) -> Draws {
        Draws { state: mix(self.key.wrapping_add(row.wrapping_mul(GAMMA))) }
    }
}

/// The random bits behind one value, as many as its law asks for.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    state: u64,
}

impl TryRng for Draws {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let high = self.try_next_u64()? >> 32;
        Ok(u32::try_from(high).expect("32 bits are left"))
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.state = self.state.wrapping_add(GAMMA);
        Ok(mix(self.state))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The finaliser of SplitMix64: a bijection in which every input bit reaches every output bit.
#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn the_bits_are_splitmix64() {
        // first outputs for state 1234567, from the reference code (https://prng.di.unimi.it/splitmix64.c)
        let mut draws = Draws { state: 1_234_567 };
        assert_eq!(draws.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(draws.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_value_has_bits_of_its_own() {
        let first = |seed, name, row| Column::new(seed, name).at(row).next_u64();
        let mut seen: Vec<u64> = (0..1000).map(|row| first(1, "a.b", row)).collect();
        seen.extend((0..1000).map(|row| first(1, "a.c", row)));
        seen.extend((0..1000).map(|row| first(2, "a.b", row)));
        // the second draw of a row is not the first one of the next row
        seen.extend((0..1000).map(|row| {
            let mut draws = Column::new(1, "a.b").at(row);
            draws.next_u64();
            draws.next_u64()
        }));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 4000);
    }
}
