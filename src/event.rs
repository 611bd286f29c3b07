//! What a driver reports while it works: a closed list of events. Nothing here prints.

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A stage of work begins: what it does, and how much there is of what, if that is known.
    Stage {
        /// What is being done, as a person would say it: `reading`, `writing people`.
        name: String,
        /// How many units there are in all, where known.
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
    },
    /// How much of the current stage is done, counted from its start.
    Progress {
        /// Units done.
        done: u64,
    },
    /// A step of an iteration is done.
    Step {
        /// The step, from 1.
        number: u64,
        /// How far the centroids moved (largest over the models still moving).
        moved: f64,
        /// Models still moving.
        models: usize,
    },
    /// Something the user should know and may act on.
    Warning(String),
    /// Something that was found or decided, and is not wrong.
    Note(String),
    /// The current stage is over.
    Done,
}

/// What a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Rows of a table.
    Rows,
    /// Bytes.
    Bytes,
    /// Steps of an iteration.
    Steps,
    /// Files or objects.
    Files,
    /// Blocks of a table.
    Blocks,
}

/// Who listens to a driver. Calls come from any thread and must return at once.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn report(&self, event: Event);
}

impl<O: Observer + ?Sized> Observer for std::sync::Arc<O> {
    fn report(&self, event: Event) {
        self.as_ref().report(event);
    }
}

/// An observer that listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn report(&self, _: Event) {}
}
