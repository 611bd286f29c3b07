//! Draws what a driver reports: bars on a terminal, a plain line every ten seconds in a log.
//!
//! Nothing else draws. Warnings are shown at once, whatever is drawn.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressState, ProgressStyle};

use super::exit::redacted;
use super::stages;
use super::terminal::{ProgressMode, Terminal};
use super::visible::visible_line;
use crate::event::{Event, Observer, Unit};

/// The time between two lines of a stage in a log.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar moves while nothing is reported.
const TICK: Duration = Duration::from_millis(200);

/// The observer of a command.
#[derive(Debug)]
pub struct Progress {
    terminal: Terminal,
    drawn: Mutex<Drawn>,
}

#[derive(Debug)]
enum Drawn {
    Bars(Option<ProgressBar>),
    Lines(Option<Stage>),
    Nothing,
}

impl Progress {
    /// Draws on `terminal`, as it shows progress.
    pub fn new(terminal: Terminal) -> Self {
        let drawn = match terminal.progress() {
            ProgressMode::Bars => Drawn::Bars(None),
            ProgressMode::Lines => Drawn::Lines(None),
            ProgressMode::Nothing => Drawn::Nothing,
        };
        Self { terminal, drawn: Mutex::new(drawn) }
    }
}

impl Observer for Progress {
    fn report(&self, event: Event) {
        if let Event::Warning(message) = &event {
            return self.terminal.warning(&redacted(message));
        }
        if let Event::Note(message) = &event {
            return self.terminal.note(&redacted(message));
        }
        let event = match event {
            Event::Stage { name, total, unit } => {
                stages::begun(&name);
                Event::Stage { name: visible_line(&name).into_owned(), total, unit }
            }
            other => other,
        };
        match &mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner) {
            Drawn::Bars(bar) => draw(bar, event, &self.terminal),
            Drawn::Lines(stage) => {
                if let Some(line) = Stage::take(stage, event, Instant::now()) {
                    self.terminal.note(&line);
                }
            }
            Drawn::Nothing => {}
        }
    }
}

impl Drop for Progress {
    /// Leaves no half-drawn bar behind when a command fails.
    fn drop(&mut self) {
        self.report(Event::Done);
    }
}

fn draw(bar: &mut Option<ProgressBar>, event: Event, terminal: &Terminal) {
    match event {
        Event::Stage { name, total, unit } => {
            draw(bar, Event::Done, terminal);
            let new = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::no_length(),
            };
            let new = terminal.bars().add(new.with_style(style(unit, total.is_some())));
            new.set_prefix(name);
            new.enable_steady_tick(TICK);
            *bar = Some(new);
        }
        Event::Progress { done } => {
            if let Some(bar) = bar {
                bar.set_position(done);
            }
        }
        Event::Step { number, moved, models } => {
            if let Some(bar) = bar {
                bar.set_position(number);
                bar.set_message(step(moved, models));
            }
        }
        Event::Done => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
                terminal.bars().remove(&bar);
            }
        }
        Event::Warning(_) | Event::Note(_) => {}
    }
}

/// `writing people [=====>     ] 1,200,000/3,000,000 rows, 410,223/s, 4s left`
fn style(unit: Unit, total_known: bool) -> ProgressStyle {
    let (done, total, rate) = match unit {
        Unit::Rows | Unit::Files | Unit::Steps | Unit::Blocks => {
            ("{human_pos}", "{human_len}", "{rate}")
        }
        Unit::Bytes => ("{binary_bytes}", "{binary_total_bytes}", "{binary_bytes_per_sec}"),
    };
    let word = word(unit);
    let template = match (total_known, unit) {
        (_, Unit::Steps) => format!("{{prefix}} {{spinner}} step {done}, {{elapsed}} {{msg}}"),
        (true, _) => {
            format!("{{prefix}} [{{bar:25}}] {done}/{total}{word}, {rate}, {{eta}} left {{msg}}")
        }
        (false, _) => format!("{{prefix}} {{spinner}} {done}{word}, {rate} {{msg}}"),
    };
    let style = ProgressStyle::with_template(&template).expect("the template is our own");
    style.progress_chars("=> ").with_key(
        "rate",
        |state: &ProgressState, out: &mut dyn fmt::Write| {
            write!(out, "{}/s", HumanCount(whole(state.per_sec()))).ok();
        },
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Rows => " rows",
        Unit::Bytes => "",
        Unit::Steps => " steps",
        Unit::Files => " files",
        Unit::Blocks => " blocks",
    }
}

fn step(moved: f64, models: usize) -> String {
    let models = if models == 1 { String::new() } else { format!(", {models} models moving") };
    format!("moved {moved:.3e}{models}")
}

/// A stage as a log shows it.
#[derive(Debug)]
struct Stage {
    name: String,
    total: Option<u64>,
    unit: Unit,
    done: u64,
    last_step: Option<String>,
    begun: Instant,
    shown: Instant,
}

impl Stage {
    /// Takes an event; a line is due when a stage ends, and every ten seconds before.
    fn take(stage: &mut Option<Self>, event: Event, now: Instant) -> Option<String> {
        match event {
            Event::Stage { name, total, unit } => {
                let ended = stage.take().map(|stage| stage.ended(now));
                let (begun, shown) = (now, now);
                *stage = Some(Self { name, total, unit, done: 0, last_step: None, begun, shown });
                ended
            }
            Event::Progress { done } => stage.as_mut()?.moved_to(done, None, now),
            Event::Step { number, moved, models } => {
                stage.as_mut()?.moved_to(number, Some(step(moved, models)), now)
            }
            Event::Done => stage.take().map(|stage| stage.ended(now)),
            Event::Warning(_) | Event::Note(_) => None,
        }
    }

    fn moved_to(&mut self, done: u64, step: Option<String>, now: Instant) -> Option<String> {
        self.done = done;
        self.last_step = step;
        if now.duration_since(self.shown) < LINE_EVERY {
            return None;
        }
        self.shown = now;
        Some(self.line(now))
    }

    /// `writing people: 1,200,000 of 3,000,000 rows (40 %), 120,000 rows/s`
    fn line(&self, now: Instant) -> String {
        let of = match self.total {
            Some(total) if total > 0 => {
                let percent = 100 * u128::from(self.done) / u128::from(total);
                format!(" of {} ({percent} %)", self.count(total))
            }
            _ => String::new(),
        };
        let tail = match &self.last_step {
            Some(step) => format!(", {step}"),
            None => format!(", {}/s", self.rate(now)),
        };
        format!("{}: {}{of}{tail}", self.name, self.count(self.done))
    }

    fn ended(self, now: Instant) -> String {
        let seconds = now.duration_since(self.begun).as_secs_f64();
        format!("{}: {} in {seconds:.1} s", self.name, self.count(self.done))
    }

    fn count(&self, count: u64) -> String {
        match self.unit {
            Unit::Bytes => HumanBytes(count).to_string(),
            unit => format!("{}{}", HumanCount(count), word(unit)),
        }
    }

    fn rate(&self, now: Instant) -> String {
        let seconds = now.duration_since(self.begun).as_secs().max(1);
        match self.unit {
            Unit::Bytes => HumanBytes(self.done / seconds).to_string(),
            unit => format!("{}{}", HumanCount(self.done / seconds), word(unit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that events at these seconds give.
    #[track_caller]
    fn lines(events: Vec<(u64, Event)>) -> Vec<String> {
        let start = Instant::now();
        let mut stage = None;
        let mut take =
            |(seconds, event)| Stage::take(&mut stage, event, start + Duration::from_secs(seconds));
        events.into_iter().filter_map(&mut take).collect()
    }

    fn stage(name: &str, total: Option<u64>, unit: Unit) -> Event {
        Event::Stage { name: name.to_owned(), total, unit }
    }

    #[test]
    fn a_line_is_due_every_ten_seconds_and_at_the_end() {
        let events = vec![
            (0, stage("writing people", Some(3_000_000), Unit::Rows)),
            (4, Event::Progress { done: 480_000 }),
            (10, Event::Progress { done: 1_200_000 }),
            (19, Event::Progress { done: 2_280_000 }),
            (21, Event::Progress { done: 2_520_000 }),
            (25, Event::Progress { done: 3_000_000 }),
            (25, Event::Done),
            (40, Event::Progress { done: 7 }),
        ];
        let expected = [
            "writing people: 1,200,000 rows of 3,000,000 rows (40 %), 120,000 rows/s",
            "writing people: 2,520,000 rows of 3,000,000 rows (84 %), 120,000 rows/s",
            "writing people: 3,000,000 rows in 25.0 s",
        ];
        assert_eq!(lines(events), expected);
    }

    #[test]
    fn steps_tell_how_far_the_centroids_moved_and_a_new_stage_ends_the_last() {
        let events = vec![
            (0, stage("k-means", None, Unit::Steps)),
            (12, Event::Step { number: 5, moved: 0.031_25, models: 3 }),
            (14, Event::Step { number: 6, moved: 0.0, models: 1 }),
            (15, stage("reading", None, Unit::Bytes)),
            (25, Event::Progress { done: 20 << 20 }),
        ];
        let expected = [
            "k-means: 5 steps, moved 3.125e-2, 3 models moving",
            "k-means: 6 steps in 15.0 s",
            "reading: 20.00 MiB, 2.00 MiB/s",
        ];
        assert_eq!(lines(events), expected);
    }

    #[test]
    fn every_template_is_valid() {
        for unit in [Unit::Rows, Unit::Bytes, Unit::Steps, Unit::Files, Unit::Blocks] {
            for total_known in [true, false] {
                style(unit, total_known);
            }
        }
    }
}
