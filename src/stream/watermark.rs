//! The watermark: how far the time of the rows has come.
//!
//! `W(b) = max(W(b-1), newest time read up to batch b - delay)`, of several sources the least, or the
//! greatest if the query says so. In batch b rows
//! are late by W(b-1) and windows close by W(b): with one value for both a row could be late for a window that
//! closes with it. The watermark never goes back, and no clock but that of the rows moves it.
//!
//! A source that has ended, or is silent for its idle time while others are not, is left out of the least. What
//! has ended altogether has its watermark at [`END`], so every window closes.

use std::time::Duration;

/// Nanoseconds since 1970, of any year.
pub(super) type Nanos = i128;

/// Behind all times.
pub(super) const END: Nanos = Nanos::MAX;

/// What is said of the time of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lateness {
    /// How much older than the newest row a row may be.
    pub(super) delay: Nanos,
    /// How long it is silent until the others do without it.
    pub(super) idle: Duration,
    /// How long all are silent until the open windows close.
    pub(super) close: Option<Duration>,
}

/// Which of several sources counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The slowest.
    #[default]
    Least,
    /// The fastest.
    Greatest,
}

/// What a batch has of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The newest time of its rows.
    pub(super) newest: Option<Nanos>,
    pub(super) has_rows: bool,
    /// Whether the source had no more, and may be silent.
    pub(super) is_quiet: bool,
    pub(super) is_ended: bool,
}

#[derive(Debug)]
struct Source {
    lateness: Lateness,
    newest: Option<Nanos>,
    /// Since when it is silent.
    silent: Duration,
    is_quiet: bool,
    is_ended: bool,
}

/// The watermark of a query.
#[derive(Debug)]
pub(super) struct Watermark {
    sources: Vec<Source>,
    policy: Policy,
    before: Option<Nanos>,
    value: Option<Nanos>,
    /// Whether it was moved since a source was last heard of.
    is_passed: bool,
}

impl Watermark {
    /// Before the first batch of a query over these sources.
    pub(super) fn new(sources: &[Lateness], policy: Policy) -> Self {
        let source = |lateness: &Lateness| Source {
            lateness: *lateness,
            newest: None,
            silent: Duration::ZERO,
            is_quiet: false,
            is_ended: false,
        };
        let sources = sources.iter().map(source).collect();
        Self { sources, policy, before: None, value: None, is_passed: false }
    }

    /// By which rows are late: that of the batch before.
    pub(super) fn late_by(&self) -> Option<Nanos> {
        self.before
    }

    /// By which windows close.
    pub(super) fn value(&self) -> Option<Nanos> {
        self.value
    }

    /// The newest time of all sources.
    pub(super) fn newest(&self) -> Option<Nanos> {
        self.sources.iter().filter_map(|source| source.newest).max()
    }

    /// A batch begins, with what it has of each source, `at` so long after the query began.
    pub(super) fn advance(&mut self, seen: &[Seen], at: Duration) {
        for (source, seen) in self.sources.iter_mut().zip(seen) {
            source.newest = source.newest.max(seen.newest);
            if seen.has_rows || !seen.is_quiet {
                source.silent = at;
            }
            source.is_quiet = seen.is_quiet;
            source.is_ended = seen.is_ended;
            self.is_passed &= !seen.has_rows;
        }
        let heard = |source: &&Source| !source.is_ended && !is_idle(source, at);
        // No time is known of a source before its first row: less than any.
        let marks = self.sources.iter().filter(heard).map(|source| {
            let newest = source.newest?;
            Some(newest - source.lateness.delay)
        });
        let mark = match (self.sources.iter().all(|source| source.is_ended), self.policy) {
            (true, _) => Some(END),
            (false, Policy::Least) => marks.min().flatten(),
            (false, Policy::Greatest) => marks.max().flatten(),
        };
        self.before = self.value;
        self.value = self.value.max(mark);
    }

    /// Nothing comes any more behind what was `seen`: every window closes.
    pub(super) fn end(&mut self, seen: &[Seen]) {
        for (source, seen) in self.sources.iter_mut().zip(seen) {
            source.newest = source.newest.max(seen.newest);
        }
        self.before = self.value;
        self.value = Some(END);
    }

    /// Whether all sources have been silent for as long as closes the open windows.
    pub(super) fn is_silent(&self, at: Duration) -> bool {
        let mut open = self.sources.iter().filter(|source| !source.is_ended).peekable();
        !self.is_passed && open.peek().is_some() && open.all(|source| is_closed(source, at))
    }

    /// Moves it to `time`, as after a silence.
    pub(super) fn pass(&mut self, time: Option<Nanos>) {
        self.is_passed = true;
        self.before = self.value;
        self.value = self.value.max(time);
    }

    /// When silence means something next, so long after the query began.
    pub(super) fn next(&self, at: Duration) -> Option<Duration> {
        let quiet = self.sources.iter().filter(|source| source.is_quiet && !source.is_ended);
        let idle = quiet.clone().filter(|_| self.sources.len() > 1);
        let idle = idle.map(|source| source.silent + source.lateness.idle);
        let closes = quiet.filter(|_| !self.is_passed);
        let closes = closes.filter_map(|source| Some(source.silent + source.lateness.close?));
        idle.chain(closes).filter(|time| *time > at).min()
    }
}

fn is_idle(source: &Source, at: Duration) -> bool {
    source.is_quiet && at >= source.silent + source.lateness.idle
}

fn is_closed(source: &Source, at: Duration) -> bool {
    let after = source.lateness.close;
    source.is_quiet && after.is_some_and(|after| at >= source.silent + after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn of(delay: Nanos) -> Lateness {
        Lateness { delay, idle: SECOND * 5, close: None }
    }

    fn newest(time: Nanos) -> Seen {
        Seen { newest: Some(time), has_rows: true, is_quiet: true, is_ended: false }
    }

    const QUIET: Seen = Seen { newest: None, has_rows: false, is_quiet: true, is_ended: false };
    const ENDED: Seen = Seen { newest: None, has_rows: false, is_quiet: true, is_ended: true };

    #[test]
    fn of_several_sources_the_slowest_counts_or_the_fastest() {
        for (policy, expected) in [
            (Policy::Least, [None, Some(90), Some(95)]),
            (Policy::Greatest, [Some(90), Some(140), Some(140)]),
        ] {
            let mut watermark = Watermark::new(&[of(10), of(5)], policy);
            let mut values = Vec::new();
            for seen in [[newest(100), QUIET], [QUIET, newest(145)], [newest(105), QUIET]] {
                watermark.advance(&seen, SECOND);
                values.push(watermark.value());
            }
            assert_eq!(values, expected, "{policy:?}");
        }
    }

    #[test]
    fn a_batch_has_two_values() {
        let mut watermark = Watermark::new(&[of(10)], Policy::Least);
        let mut values = Vec::new();
        for time in [100, 130, 90, -7, 131] {
            watermark.advance(&[newest(time)], SECOND);
            values.push((watermark.late_by(), watermark.value()));
        }
        let expected = [
            (None, Some(90)),
            (Some(90), Some(120)),
            (Some(120), Some(120)),
            (Some(120), Some(120)),
            (Some(120), Some(121)),
        ];
        assert_eq!(values, expected);
        assert_eq!(watermark.newest(), Some(131));
    }

    #[test]
    fn the_slowest_source_counts_until_it_is_idle() {
        let mut watermark = Watermark::new(&[of(0), of(3)], Policy::Least);
        watermark.advance(&[newest(50), QUIET], SECOND);
        assert_eq!(watermark.value(), None);
        watermark.advance(&[newest(60), newest(20)], SECOND * 2);
        assert_eq!(watermark.value(), Some(17));
        watermark.advance(&[newest(70), QUIET], SECOND * 6);
        assert_eq!((watermark.value(), watermark.next(SECOND * 6)), (Some(17), Some(SECOND * 7)));
        watermark.advance(&[QUIET, QUIET], SECOND * 7);
        assert_eq!(watermark.value(), Some(70));
        // It comes back with what is late, and the watermark stays.
        watermark.advance(&[QUIET, newest(21)], SECOND * 8);
        assert_eq!(watermark.value(), Some(70));
    }

    #[test]
    fn a_source_that_has_more_to_read_is_not_idle() {
        let mut watermark = Watermark::new(&[of(0), of(0)], Policy::Least);
        let busy = Seen { is_quiet: false, ..QUIET };
        watermark.advance(&[newest(5), busy], SECOND);
        watermark.advance(&[newest(9), busy], SECOND * 60);
        assert_eq!(watermark.value(), None);
    }

    #[test]
    fn what_has_ended_is_left_out_and_all_of_it_is_the_end() {
        let mut watermark = Watermark::new(&[of(0), of(0)], Policy::Least);
        watermark.advance(&[newest(5), newest(2)], SECOND);
        watermark.advance(&[QUIET, ENDED], SECOND);
        assert_eq!(watermark.value(), Some(5));
        watermark.advance(&[ENDED, ENDED], SECOND);
        assert_eq!((watermark.late_by(), watermark.value()), (Some(5), Some(END)));
    }

    #[test]
    fn one_silent_source_moves_nothing_unless_it_may_close() {
        let mut watermark = Watermark::new(&[of(0)], Policy::Least);
        watermark.advance(&[newest(5)], SECOND);
        watermark.advance(&[QUIET], SECOND * 100);
        assert_eq!((watermark.value(), watermark.next(SECOND * 100)), (Some(5), None));
        assert!(!watermark.is_silent(SECOND * 100));

        let closing = Lateness { close: Some(SECOND * 30), ..of(0) };
        let mut watermark = Watermark::new(&[closing], Policy::Least);
        watermark.advance(&[newest(5)], SECOND);
        assert_eq!(watermark.next(SECOND), Some(SECOND * 31));
        assert!(!watermark.is_silent(SECOND * 30) && watermark.is_silent(SECOND * 31));
        watermark.pass(Some(12));
        assert_eq!((watermark.late_by(), watermark.value()), (Some(5), Some(12)));
        assert!(!watermark.is_silent(SECOND * 90) && watermark.next(SECOND * 90).is_none());
        watermark.advance(&[newest(6)], SECOND * 91);
        assert!(watermark.is_silent(SECOND * 121), "it is silent again");
    }

    proptest! {
        #[test]
        fn it_never_goes_back(
            batches in prop::collection::vec(prop::collection::vec((any::<bool>(), -50..50_i64), 3), 0..20)
        ) {
            let mut watermark = Watermark::new(&[of(0), of(7), of(20)], Policy::Least);
            for (at, batch) in batches.iter().enumerate() {
                let seen = batch.iter().map(|(comes, time)| match comes {
                    true => newest(Nanos::from(*time)),
                    false => QUIET,
                });
                let before = watermark.value();
                watermark.advance(&seen.collect::<Vec<_>>(), SECOND * u32::try_from(at).unwrap());
                prop_assert_eq!(watermark.late_by(), before);
                prop_assert!(watermark.value() >= before);
                prop_assert!(watermark.value() <= watermark.newest());
            }
        }
    }
}
