//! What all fault tools share: chance that a seed repeats, lives that end, create-only modes.

use std::future::pending;

use pleiad::splitmix::{SplitMix64, unit};
use rand::Rng;
use tokio::sync::watch;

/// Chance from a seed, so that a seed in a message means the same run for ever.
#[derive(Clone, Debug)]
pub(crate) struct Chance(SplitMix64);

impl Chance {
    /// The chance of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % end as u64).unwrap()
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn hits(&mut self, percent: f64) -> bool {
        self.unit() * 100. < percent
    }

    /// A number from 0 to less than 1.
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.bits())
    }
}

/// What a store makes of "put this only if the name is free".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateOnly {
    /// It refuses if the name is taken, as most servers do.
    Enforced,
    /// It puts it whatever is there, as Garage does.
    Ignored,
    /// It answers that it cannot do this.
    Refused,
}

/// Where in a call its caller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The call is not made.
    Before,
    /// The call is made, and nobody hears the answer.
    After,
    /// The request was on its way: it takes effect some time after its sender has died.
    Late,
}

/// The life of a client: it ends once, and a dead one neither calls nor hears an answer.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    dead: watch::Sender<bool>,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self { dead: watch::Sender::new(false) }
    }

    pub(crate) fn end(&self) {
        self.dead.send_replace(true);
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.dead.borrow()
    }

    /// Ends it and never returns: whoever waits here is dropped by [`Life::run`].
    pub(crate) async fn die<T>(&self) -> T {
        self.end();
        pending().await
    }

    /// Runs `work` as far as this life goes; `None` if it ended first. `work` is dropped then.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut watching = self.dead.subscribe();
        tokio::select! {
            biased;
            _ = watching.wait_for(|dead| *dead) => None,
            done = work => Some(done),
        }
    }
}
