//! Loops compiled for each instruction set and chosen at run time, with the same bits from all.
//!
//! A [`Task`] is one body, written so that a compiler turns it into vector instructions. Vector
//! addition, multiplication, division and square root round exactly like the scalar ones (IEEE 754),
//! and nothing here enables fused multiply-add. Other processors than x86-64 have their
//! baseline only.

use std::fmt;

/// An instruction set that this processor has; there is no way to name another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// What every processor of the target has: SSE2 on x86-64, NEON on aarch64.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A loop to be compiled for each instruction set; `run` must be `#[inline(always)]`.
pub trait Task {
    /// Does the work.
    fn run(self);
}

impl Isa {
    /// Every set this processor has, the widest first.
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Self(Level::Baseline)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                levels.push(Self(Level::Avx2));
            }
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            if avx512 {
                levels.push(Self(Level::Avx512));
            }
        }
        levels.reverse();
        levels
    }

    /// The widest set of this processor.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// How many float64 one register holds.
    pub fn lanes(self) -> usize {
        match self.0 {
            Level::Baseline => 2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => 4,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 8,
        }
    }

    /// Runs `task`, compiled for this set.
    #[inline]
    pub fn run(self, task: impl Task) {
        match self.0 {
            Level::Baseline => task.run(),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for a detected feature")]
            // SAFETY: `available` is the only source of this level, and it detected AVX2.
            Level::Avx2 => unsafe { run_avx2(task) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for detected features")]
            // SAFETY: `available` is the only source of this level, and it detected these features.
            Level::Avx512 => unsafe { run_avx512(task) },
        }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2(task: impl Task) {
    task.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn run_avx512(task: impl Task) {
    task.run();
}
