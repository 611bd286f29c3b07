//! A standing query: trigger, input, a bounded plan, commit, and again.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::context::SessionState;
use futures::future::select_all;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use super::cut::{Incremental, State, Wanted};
use super::event_time::Times;
use super::files::FileSink;
use super::kept::Kept;
use super::late::Late;
use super::options::{OutputMode, Trigger};
use super::progress::{
    BatchProgress, Durations, EventTimes, Follower, SinkProgress, SourceProgress, StateProgress,
};
use super::refresh::Refreshed;
use super::shared::{Cursor, Limits};
use super::slot::Slot;
use super::view::Snapshot;
use super::watermark::{Nanos, Seen, Watermark};
use crate::error::Result;
use crate::event::{Event, Observer};

/// Who shows batches to a person.
pub trait Console: Send + Sync {
    /// Shows the rows of a batch of the query `name`, which begin with 0.
    ///
    /// # Errors
    /// If they cannot be shown, which ends the query.
    fn show(&self, name: &str, batch: u64, schema: SchemaRef, rows: Vec<RecordBatch>)
    -> Result<()>;
}

/// How far a query is.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// Batches with rows.
    pub(super) batches: u64,
    pub(super) rows: u64,
    /// Lines that could not be read.
    pub(super) bad: u64,
    /// Integers that may not be exact.
    pub(super) inexact: u64,
    /// Rows without a time, and rows whose time is too far ahead.
    pub(super) times: Times,
    pub(super) watermark: Option<Nanos>,
    /// Rows that came to windows which were closed.
    pub(super) late: u64,
    /// Bytes of the state of aggregates, and its rows.
    pub(super) state: (usize, usize),
    /// Whether all that was at the sources is processed.
    pub(super) is_drained: bool,
    /// How it ended.
    pub(super) end: Option<Result<()>>,
}

/// One stream of a query.
pub(super) struct Input {
    /// The name of its table.
    pub(super) name: String,
    pub(super) slot: Arc<Slot>,
    pub(super) cursor: Cursor,
    pub(super) limits: Limits,
    /// Whether it comes when it comes, so that silence means something.
    pub(super) is_live: bool,
}

/// Where answers go.
pub(super) enum Sink {
    View(watch::Sender<Arc<Snapshot>>),
    Console(Arc<dyn Console>),
    Files(Box<FileSink>),
}

impl Sink {
    /// What it is.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::View(_) => "view",
            Self::Console(_) => "console",
            Self::Files(_) => "files",
        }
    }
}

/// What a batch did.
struct Done {
    /// Rows that a console or files got.
    rows: Option<u64>,
    late: u64,
}

/// A standing query while it runs.
pub(super) struct Query {
    pub(super) name: String,
    pub(super) inputs: Vec<Input>,
    pub(super) plan: Incremental,
    pub(super) mode: OutputMode,
    pub(super) trigger: Trigger,
    pub(super) sink: Sink,
    pub(super) status: watch::Sender<Status>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) observer: Arc<dyn Observer>,
    /// What its groups show of a batch.
    pub(super) wanted: Wanted,
    /// Whether rows of a stream have a time.
    pub(super) has_times: bool,
    /// How far the time of its rows has come, if all its streams say that.
    pub(super) watermark: Option<Watermark>,
    /// Who finds late rows, if its windows close.
    pub(super) late: Option<Late>,
    /// Tables with an end that are looked at again.
    pub(super) tables: Vec<Refreshed>,
    /// How they are read.
    pub(super) state: SessionState,
    /// Rows that stay as they are.
    pub(super) kept: Kept,
    /// Who is told of batches.
    pub(super) follower: Option<Arc<dyn Follower>>,
    /// What is told of this start.
    pub(super) run_id: String,
    /// When the batch before began.
    pub(super) last_began: Option<Instant>,
    /// Whether it has warned of many late rows.
    pub(super) has_warned: bool,
    pub(super) began: Instant,
}

/// What is at the sources.
struct Arrived {
    rows: u64,
    /// Of each source.
    seen: Vec<Seen>,
    of_sources: Vec<u64>,
    bad: u64,
    inexact: u64,
    times: Times,
    has_more: bool,
    is_drained: bool,
    is_ended: bool,
}

impl Query {
    /// Runs to the end of its sources, to an error, or until it is stopped between two batches.
    pub(super) async fn run(mut self) {
        let end = self.batches().await;
        let end = match end {
            Err(cause) => Err(self.plan.explained(cause, self.kept.bytes()).await),
            Ok(()) => Ok(()),
        };
        if let Some(follower) = &self.follower {
            follower.ended(&self.name);
        }
        self.status.send_modify(|status| {
            status.is_drained |= end.is_ok();
            status.end = Some(end);
        });
    }

    async fn batches(&mut self) -> Result<()> {
        let mut ticks = match self.trigger {
            Trigger::Every(time) => {
                let mut ticks = interval(time);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                Some(ticks)
            }
            Trigger::AtOnce | Trigger::AvailableNow => None,
        };
        // What is seen before the first rows: the answer to none.
        self.plan.fold(Wanted::Nothing, None).await?;
        self.publish(State::new(), None).await?;
        while !*self.stop.borrow() {
            let began = Instant::now();
            let arrived = self.take()?;
            let taken = began.elapsed();
            let is_over =
                arrived.is_ended || (self.trigger == Trigger::AvailableNow && arrived.is_drained);
            self.advance(&arrived.seen, is_over)?;
            let batch = self.batch(arrived.rows).await?;
            self.tell(&arrived, batch, began, taken)?;
            let is_drained = arrived.is_drained;
            self.status.send_if_modified(|status| {
                std::mem::replace(&mut status.is_drained, is_drained) != is_drained
            });
            if is_over {
                break;
            }
            if ticks.is_some() || !(arrived.rows > 0 || arrived.has_more) {
                self.wait(&mut ticks).await;
            }
        }
        let shown = self.status.borrow().batches;
        if shown == 0 && self.mode == OutputMode::Complete && !*self.stop.borrow() {
            self.show().await?;
        }
        Ok(())
    }

    /// Moves the watermark.
    fn advance(&mut self, seen: &[Seen], is_over: bool) -> Result<()> {
        let Some(watermark) = &mut self.watermark else { return Ok(()) };
        let at = self.began.elapsed();
        match is_over {
            true => watermark.end(seen),
            false => watermark.advance(seen, at),
        }
        if !is_over && watermark.is_silent(at) {
            watermark.pass(self.plan.open_until()?);
        }
        let value = watermark.value();
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.watermark, value) != value);
        Ok(())
    }

    /// Waits for rows, for what silence means, or for the next tick; or until the query is stopped.
    async fn wait(&mut self, ticks: &mut Option<Interval>) {
        let at = self.began.elapsed();
        let silence = self.watermark.as_ref().and_then(|watermark| watermark.next(at));
        let silence = silence.map_or(Duration::MAX, |silence| silence.saturating_sub(at));
        let begins = async {
            match ticks {
                Some(ticks) => {
                    tokio::select! {
                        _ = ticks.tick() => {}
                        () = over(&mut self.inputs) => {}
                    }
                }
                None => {
                    tokio::select! {
                        () = news(&mut self.inputs) => {}
                        () = sleep(silence) => {}
                    }
                }
            }
        };
        tokio::select! {
            () = begins => {}
            // Whoever could stop it has left.
            _ = self.stop.changed() => {}
        }
    }

    /// Takes what is there into the slots of the plan.
    fn take(&mut self) -> Result<Arrived> {
        let mut all = Arrived {
            rows: 0,
            seen: Vec::new(),
            of_sources: Vec::new(),
            bad: 0,
            inexact: 0,
            times: Times::default(),
            has_more: false,
            is_drained: true,
            is_ended: true,
        };
        for input in &mut self.inputs {
            let taken = input.cursor.take(input.limits);
            for warning in input.cursor.warnings() {
                self.observer.report(Event::Warning(warning));
            }
            let taken = taken?;
            all.has_more |= taken.has_more;
            all.is_drained &= taken.is_drained;
            all.is_ended &= taken.is_ended;
            all.bad += taken.chunks.iter().map(|chunk| chunk.bad).sum::<u64>();
            all.inexact += taken.chunks.iter().map(|chunk| chunk.inexact).sum::<u64>();
            let rows = taken.chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum::<u64>();
            all.rows += rows;
            all.of_sources.push(rows);
            let here =
                taken.chunks.iter().map(|chunk| chunk.times).fold(Times::default(), Times::and);
            all.times = all.times.and(here);
            all.seen.push(Seen {
                newest: here.newest,
                has_rows: rows > 0,
                is_quiet: taken.is_drained || (input.is_live && !taken.has_more),
                is_ended: taken.is_ended,
            });
            input.slot.set(taken.chunks.into_iter().map(|chunk| chunk.rows).collect());
        }
        if all.rows + all.bad > 0 {
            self.status.send_modify(|status| {
                status.is_drained = false;
                status.rows += all.rows;
                status.bad += all.bad;
                status.inexact += all.inexact;
                status.times = status.times.and(all.times);
            });
        }
        Ok(all)
    }

    /// Runs the plan over so many rows in the slots, closes windows, and shows what comes of it: what it did,
    /// unless it had nothing to do.
    async fn batch(&mut self, rows: u64) -> Result<Option<Done>> {
        let closing = self.watermark.as_ref().filter(|_| self.late.is_some());
        let late_by = closing.and_then(Watermark::late_by);
        let value = closing.and_then(Watermark::value);
        let (mut shown, mut late) = (State::new(), 0);
        if rows > 0 {
            self.refresh().await?;
            let folded = self.plan.fold(self.wanted, late_by).await?;
            shown = folded.shown;
            if let (true, Some(late_by)) = (folded.has_late, late_by) {
                late = self.keep_late(late_by).await?;
            }
        }
        let complete = match value {
            Some(value) => self.plan.close(value)?,
            None => None,
        };
        if rows == 0 && complete.is_none() {
            return Ok(None);
        }
        self.publish(shown, complete).await?;
        let rows = self.show().await?;
        self.inputs.iter().for_each(|input| input.slot.set(Vec::new()));
        let state = self.plan.size();
        self.status.send_modify(|status| {
            status.batches += 1;
            status.state = state;
        });
        Ok(Some(Done { rows, late }))
    }

    /// Tells of a batch that took rows for so long, if it did something.
    fn tell(
        &mut self,
        arrived: &Arrived,
        done: Option<Done>,
        began: Instant,
        taken: Duration,
    ) -> Result<()> {
        let (Some(follower), Some(done)) = (&self.follower, done) else { return Ok(()) };
        let since = self.last_began.replace(began);
        let lasted = began.elapsed();
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = |time: Duration| (arrived.rows as f64 / time.as_secs_f64().max(1e-9)).round();
        let status = self.status.borrow();
        let now = jiff::Timestamp::now();
        let times = self.has_times.then(|| EventTimes {
            max: arrived.times.newest.and_then(instant),
            watermark: status.watermark.and_then(instant),
        });
        let sources = self.inputs.iter().zip(&arrived.of_sources);
        let sources = sources.map(|(input, rows)| SourceProgress {
            description: input.name.clone(),
            num_input_rows: *rows,
        });
        follower.batch(&BatchProgress {
            run_id: self.run_id.clone(),
            name: self.name.clone(),
            timestamp: now.checked_sub(lasted).unwrap_or(now),
            batch_id: status.batches.saturating_sub(1),
            batch_duration: milliseconds(lasted),
            num_input_rows: arrived.rows,
            input_rows_per_second: since.map_or(0.0, |since| rate(began.duration_since(since))),
            processed_rows_per_second: rate(lasted),
            duration_ms: Durations {
                trigger_execution: milliseconds(lasted),
                get_batch: milliseconds(taken),
                add_batch: milliseconds(lasted.saturating_sub(taken)),
            },
            event_time: times,
            state_operators: vec![StateProgress {
                num_rows_total: status.state.1 as u64,
                memory_used_bytes: status.state.0 as u64,
                num_rows_dropped_by_watermark: done.late,
            }],
            sources: sources.collect(),
            sink: SinkProgress {
                description: self.sink.word().to_owned(),
                num_output_rows: done.rows,
            },
            bad_rows: arrived.bad,
            inexact_integers: arrived.inexact,
            null_event_time: arrived.times.missing,
            ahead_rows: arrived.times.ahead,
        })
    }

    /// Looks at tables again whose time has come.
    async fn refresh(&mut self) -> Result<()> {
        let mut is_new = false;
        for table in &mut self.tables {
            is_new |= table.read(&self.state).await?;
        }
        if is_new {
            self.plan.forget()?;
        }
        Ok(())
    }

    /// Sets the rows of a batch apart that are late by `watermark`; how many they are.
    async fn keep_late(&mut self, watermark: Nanos) -> Result<u64> {
        let Some(late) = &mut self.late else { return Ok(0) };
        let batch = self.status.borrow().batches;
        let (rows, all) = late.take(watermark, batch).await?;
        let newest = self.watermark.as_ref().and_then(Watermark::newest);
        if rows * 2 > all && !std::mem::replace(&mut self.has_warned, true) {
            self.observer.report(Event::Warning(format!(
                "{rows} of {all} rows of batch {batch} of '{}' came to windows that were closed: the newest row \
                 is of {}, and 'watermark' says how much older others may be; SELECT * FROM {}$late shows the rows",
                self.name,
                newest.map_or_else(String::new, written),
                self.name
            )));
        }
        self.status.send_modify(|status| status.late += rows);
        Ok(rows)
    }

    /// Makes the answer visible: `touched` is what is wanted of the groups, `complete` the groups that have
    /// left the state.
    async fn publish(&mut self, touched: State, complete: Option<State>) -> Result<()> {
        let above = Arc::clone(self.plan.above());
        let is_view = matches!(self.sink, Sink::View(_));
        let is_aggregate = self.plan.is_aggregate();
        let groups = match self.wanted {
            Wanted::Nothing => complete.unwrap_or_default(),
            Wanted::Touched | Wanted::New => touched,
        };
        let mut rows = match is_aggregate {
            false => self.plan.rows().await?,
            true if groups.is_empty() => Vec::new(),
            true => above.answer(groups).await?,
        };
        rows.retain(|rows| rows.num_rows() > 0);
        let is_kept = is_view || (!is_aggregate && self.mode == OutputMode::Complete);
        if !is_kept || self.plan.is_constant() {
            self.kept = Kept::default();
        }
        rows.iter().try_for_each(|rows| self.kept.push(rows))?;
        let tables: usize = self.tables.iter().map(Refreshed::bytes).sum();
        self.plan.hold(self.kept.bytes() + tables).await?;
        if let Sink::View(newest) = &self.sink {
            let kept = self.kept.batches().to_vec();
            let snapshot = match is_aggregate && self.mode != OutputMode::Append {
                false => Snapshot::Rows(kept),
                true => Snapshot::State(kept, above, self.plan.state(), OnceCell::new()),
            };
            newest.send_replace(Arc::new(snapshot));
        }
        Ok(())
    }

    /// Shows a batch on a console, or adds it to files: how many rows, if it goes there.
    async fn show(&self) -> Result<Option<u64>> {
        if matches!(self.sink, Sink::View(_)) {
            return Ok(None);
        }
        let rows = match self.plan.is_aggregate() && self.mode == OutputMode::Complete {
            true => self.plan.above().answer(self.plan.state()).await?,
            false => self.kept.batches().to_vec(),
        };
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let count = Some(count as u64);
        if count == Some(0) && self.mode != OutputMode::Complete {
            return Ok(count);
        }
        let batch = self.status.borrow().batches;
        let schema = self.plan.above().plan.schema();
        match &self.sink {
            Sink::View(_) => {}
            Sink::Console(console) => console.show(&self.name, batch, schema, rows)?,
            Sink::Files(files) => files.append(&self.name, batch, schema, rows).await?,
        }
        Ok(count)
    }
}

/// Waits until something comes from any of the streams.
async fn news(inputs: &mut [Input]) {
    let news = inputs.iter_mut().map(|input| Box::pin(input.cursor.changed()));
    drop(select_all(news).await);
}

/// Waits until no stream goes on, or one has failed.
async fn over(inputs: &mut [Input]) {
    while !inputs.iter().all(|input| input.cursor.is_ended())
        && !inputs.iter().any(|input| input.cursor.has_failed())
    {
        news(inputs).await;
    }
}

/// A time as it is written.
fn written(time: Nanos) -> String {
    instant(time).map_or_else(|| format!("{time} ns"), |time| time.to_string())
}

/// A time of our age of the world.
fn instant(time: Nanos) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(time).ok()
}
