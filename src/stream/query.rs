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
use super::late::Late;
use super::options::{OutputMode, Trigger};
use super::refresh::Refreshed;
use super::shared::{Cursor, Limits};
use super::slot::Slot;
use super::state::bytes;
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
    /// How far the time of its rows has come, if all its streams say that.
    pub(super) watermark: Option<Watermark>,
    /// Who finds late rows, if its windows close.
    pub(super) late: Option<Late>,
    /// Tables with an end that are looked at again.
    pub(super) tables: Vec<Refreshed>,
    /// How they are read.
    pub(super) state: SessionState,
    /// Rows that stay as they are, and their bytes.
    pub(super) kept: Vec<RecordBatch>,
    pub(super) kept_bytes: usize,
    /// Whether it has warned of many late rows.
    pub(super) has_warned: bool,
    pub(super) began: Instant,
}

/// What is at the sources.
struct Arrived {
    rows: u64,
    /// Of each source.
    seen: Vec<Seen>,
    has_more: bool,
    is_drained: bool,
    is_ended: bool,
}

impl Query {
    /// Runs to the end of its sources, to an error, or until it is stopped between two batches.
    pub(super) async fn run(mut self) {
        let end = self.batches().await;
        let end = match end {
            Err(cause) => Err(self.plan.explained(cause, self.kept_bytes).await),
            Ok(()) => Ok(()),
        };
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
            let arrived = self.take()?;
            let is_over =
                arrived.is_ended || (self.trigger == Trigger::AvailableNow && arrived.is_drained);
            self.advance(&arrived.seen, is_over)?;
            self.batch(arrived.rows).await?;
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
            true => watermark.end(),
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
        let news = self.inputs.iter_mut().map(|input| Box::pin(input.cursor.changed()));
        let begins = async {
            match ticks {
                Some(ticks) => drop(ticks.tick().await),
                None => {
                    tokio::select! {
                        _ = select_all(news) => {}
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
        let seen = Vec::new();
        let mut all = Arrived { rows: 0, seen, has_more: false, is_drained: true, is_ended: true };
        let (mut bad, mut inexact, mut times) = (0, 0, Times::default());
        for input in &mut self.inputs {
            let taken = input.cursor.take(input.limits)?;
            for warning in input.cursor.warnings() {
                self.observer.report(Event::Warning(warning));
            }
            all.has_more |= taken.has_more;
            all.is_drained &= taken.is_drained;
            all.is_ended &= taken.is_ended;
            bad += taken.chunks.iter().map(|chunk| chunk.bad).sum::<u64>();
            inexact += taken.chunks.iter().map(|chunk| chunk.inexact).sum::<u64>();
            let rows = taken.chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum::<u64>();
            all.rows += rows;
            let here =
                taken.chunks.iter().map(|chunk| chunk.times).fold(Times::default(), Times::and);
            times = times.and(here);
            all.seen.push(Seen {
                newest: here.newest,
                has_rows: rows > 0,
                is_quiet: taken.is_drained || (input.is_live && !taken.has_more),
                is_ended: taken.is_ended,
            });
            input.slot.set(taken.chunks.into_iter().map(|chunk| chunk.rows).collect());
        }
        if all.rows + bad > 0 {
            self.status.send_modify(|status| {
                status.is_drained = false;
                status.rows += all.rows;
                status.bad += bad;
                status.inexact += inexact;
                status.times = status.times.and(times);
            });
        }
        Ok(all)
    }

    /// Runs the plan over so many rows in the slots, closes windows, and shows what comes of it.
    async fn batch(&mut self, rows: u64) -> Result<()> {
        let closing = self.watermark.as_ref().filter(|_| self.late.is_some());
        let late_by = closing.and_then(Watermark::late_by);
        let value = closing.and_then(Watermark::value);
        let mut shown = State::new();
        if rows > 0 {
            self.refresh().await?;
            let folded = self.plan.fold(self.wanted, late_by).await?;
            shown = folded.shown;
            if let (true, Some(late_by)) = (folded.has_late, late_by) {
                self.keep_late(late_by).await?;
            }
        }
        let complete = match value {
            Some(value) => self.plan.close(value)?,
            None => None,
        };
        if rows == 0 && complete.is_none() {
            return Ok(());
        }
        self.publish(shown, complete).await?;
        self.show().await?;
        self.inputs.iter().for_each(|input| input.slot.set(Vec::new()));
        let state = self.plan.size();
        self.status.send_modify(|status| {
            status.batches += 1;
            status.state = state;
        });
        Ok(())
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

    /// Sets the rows of a batch apart that are late by `watermark`.
    async fn keep_late(&mut self, watermark: Nanos) -> Result<()> {
        let Some(late) = &mut self.late else { return Ok(()) };
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
        Ok(())
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
            self.kept.clear();
            self.kept_bytes = 0;
        }
        self.kept_bytes += bytes(&rows)?;
        self.kept.extend(rows);
        let tables: usize = self.tables.iter().map(Refreshed::bytes).sum();
        self.plan.hold(self.kept_bytes + tables).await?;
        if let Sink::View(newest) = &self.sink {
            let kept = self.kept.clone();
            let snapshot = match is_aggregate && self.mode != OutputMode::Append {
                false => Snapshot::Rows(kept),
                true => Snapshot::State(kept, above, self.plan.state(), OnceCell::new()),
            };
            newest.send_replace(Arc::new(snapshot));
        }
        Ok(())
    }

    /// Shows a batch on a console, or adds it to files.
    async fn show(&self) -> Result<()> {
        if matches!(self.sink, Sink::View(_)) {
            return Ok(());
        }
        let rows = match self.plan.is_aggregate() && self.mode == OutputMode::Complete {
            true => self.plan.above().answer(self.plan.state()).await?,
            false => self.kept.clone(),
        };
        let has_rows = rows.iter().any(|rows| rows.num_rows() > 0);
        if !has_rows && self.mode != OutputMode::Complete {
            return Ok(());
        }
        let batch = self.status.borrow().batches;
        let schema = self.plan.above().plan.schema();
        match &self.sink {
            Sink::View(_) => Ok(()),
            Sink::Console(console) => console.show(&self.name, batch, schema, rows),
            Sink::Files(files) => files.append(&self.name, batch, schema, rows).await,
        }
    }
}

/// A time as it is written.
fn written(time: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(time)
        .map_or_else(|_far| format!("{time} ns"), |time| time.to_string())
}
