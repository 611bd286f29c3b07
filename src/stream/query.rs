//! A standing query: trigger, input, a bounded plan, commit, and again.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::select_all;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::cut::{Incremental, State, bytes};
use super::options::{OutputMode, Trigger};
use super::shared::Cursor;
use super::slot::Slot;
use super::view::Snapshot;
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
    /// Whether all that was at the sources is processed.
    pub(super) is_drained: bool,
    /// How it ended.
    pub(super) end: Option<Result<()>>,
}

/// One stream of a query.
pub(super) struct Input {
    pub(super) slot: Arc<Slot>,
    pub(super) cursor: Cursor,
    pub(super) max_files: Option<usize>,
}

/// Where answers go.
pub(super) enum Sink {
    View(watch::Sender<Arc<Snapshot>>),
    Console(Arc<dyn Console>),
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
    /// All rows so far, of a query without an aggregate.
    pub(super) kept: Vec<RecordBatch>,
}

/// What is at the sources.
struct Arrived {
    rows: u64,
    has_more: bool,
    is_drained: bool,
    is_ended: bool,
}

impl Query {
    /// Runs to the end of its sources, to an error, or until it is stopped between two batches.
    pub(super) async fn run(mut self) {
        let end = self.batches().await;
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
        let touched = self.plan.fold(false).await?;
        self.publish(touched).await?;
        while !*self.stop.borrow() {
            let arrived = self.take()?;
            if arrived.rows > 0 {
                self.batch().await?;
            }
            let is_drained = arrived.is_drained;
            self.status.send_if_modified(|status| {
                std::mem::replace(&mut status.is_drained, is_drained) != is_drained
            });
            let is_over = self.trigger == Trigger::AvailableNow && arrived.is_drained;
            if arrived.is_ended || is_over {
                break;
            }
            if ticks.is_some() || !(arrived.rows > 0 || arrived.has_more) {
                self.wait(&mut ticks).await;
            }
        }
        let shown = self.status.borrow().batches;
        if shown == 0 && self.mode == OutputMode::Complete && !*self.stop.borrow() {
            self.show(self.plan.state()).await?;
        }
        Ok(())
    }

    /// Waits for rows, or for the next tick; or until the query is stopped.
    async fn wait(&mut self, ticks: &mut Option<Interval>) {
        let news = self.inputs.iter_mut().map(|input| Box::pin(input.cursor.changed()));
        let begins = async {
            match ticks {
                Some(ticks) => drop(ticks.tick().await),
                None => drop(select_all(news).await),
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
        let mut all = Arrived { rows: 0, has_more: false, is_drained: true, is_ended: true };
        let (mut bad, mut inexact) = (0, 0);
        for input in &mut self.inputs {
            let taken = input.cursor.take(input.max_files)?;
            for warning in input.cursor.warnings() {
                self.observer.report(Event::Warning(warning));
            }
            all.has_more |= taken.has_more;
            all.is_drained &= taken.is_drained;
            all.is_ended &= taken.is_ended;
            bad += taken.chunks.iter().map(|chunk| chunk.bad).sum::<u64>();
            inexact += taken.chunks.iter().map(|chunk| chunk.inexact).sum::<u64>();
            all.rows += taken.chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum::<u64>();
            input.slot.set(taken.chunks.into_iter().map(|chunk| chunk.rows).collect());
        }
        if all.rows + bad > 0 {
            self.status.send_modify(|status| {
                status.is_drained = false;
                status.rows += all.rows;
                status.bad += bad;
                status.inexact += inexact;
            });
        }
        Ok(all)
    }

    /// Runs the plan over the rows in the slots, and shows what it answers.
    async fn batch(&mut self) -> Result<()> {
        let wants_touched =
            matches!(self.sink, Sink::Console(_)) && self.mode == OutputMode::Update;
        let touched = self.plan.fold(wants_touched && self.plan.is_aggregate()).await?;
        let state = self.publish(touched).await?;
        if let Some(state) = state {
            self.show(state).await?;
        }
        self.inputs.iter().for_each(|input| input.slot.set(Vec::new()));
        self.status.send_modify(|status| status.batches += 1);
        Ok(())
    }

    /// Makes the answer visible in a view; what a console has to show is returned.
    async fn publish(&mut self, touched: State) -> Result<Option<State>> {
        if !self.plan.is_aggregate() {
            let rows = self.plan.rows().await?;
            let rows = rows.into_iter().filter(|rows| rows.num_rows() > 0);
            let is_kept = matches!(self.sink, Sink::View(_)) || self.mode == OutputMode::Complete;
            if !is_kept || self.plan.is_constant() {
                self.kept.clear();
            }
            self.kept.extend(rows);
            self.plan.hold(bytes(&self.kept)?)?;
        }
        match &self.sink {
            Sink::Console(_) => Ok(Some(match self.mode {
                OutputMode::Update => touched,
                OutputMode::Append | OutputMode::Complete => self.plan.state(),
            })),
            Sink::View(newest) => {
                let snapshot = match self.plan.is_aggregate() {
                    false => Snapshot::Rows(self.kept.clone()),
                    true => {
                        let above = Arc::clone(self.plan.above());
                        Snapshot::State(above, self.plan.state(), OnceCell::new())
                    }
                };
                newest.send_replace(Arc::new(snapshot));
                Ok(None)
            }
        }
    }

    async fn show(&self, state: State) -> Result<()> {
        let Sink::Console(console) = &self.sink else { return Ok(()) };
        let rows = match self.plan.is_aggregate() {
            true => self.plan.above().answer(state).await?,
            false => self.kept.clone(),
        };
        let has_rows = rows.iter().any(|rows| rows.num_rows() > 0);
        if !has_rows && self.mode != OutputMode::Complete {
            return Ok(());
        }
        let batch = self.status.borrow().batches;
        console.show(&self.name, batch, self.plan.above().plan.schema(), rows)
    }
}
