//! SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, doi:10.1145/2660193.2660195): 64 random bits from
//! a counter, by integer arithmetic modulo 2^64, the same on every machine.

use std::convert::Infallible;

use rand::TryRng;

/// The step of the counter: 2^64 divided by the golden ratio, odd.
pub const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A row of random bits that depends on its first state only.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The bits that follow `state`.
    #[inline]
    pub const fn new(state: u64) -> Self {
        Self { state }
    }
}

impl TryRng for SplitMix64 {
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

/// The first bits that follow `state`: a hash of one number.
#[inline(always)]
pub const fn hash(state: u64) -> u64 {
    mix(state.wrapping_add(GAMMA))
}

/// The finaliser: a bijection in which every input bit reaches every output bit.
#[inline(always)]
pub const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number in [0, 1) that the highest 53 bits are.
#[inline]
pub const fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn the_bits_are_those_of_the_reference() {
        // First outputs for the state 1234567, from https://prng.di.unimi.it/splitmix64.c
        let mut bits = SplitMix64::new(1_234_567);
        assert_eq!(bits.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(bits.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(hash(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn units_are_at_least_zero_and_below_one() {
        assert_eq!(unit(0).to_bits(), 0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
