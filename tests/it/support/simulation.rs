//! Several actors on one thread, in an order that a seed decides.
//!
//! Each call of a store waits for its turn. When nothing else on the thread can go on, one waiting
//! call gets its turn, is done at once, and its caller runs to its next calls. So a run is a row of
//! turns, the same for the same seed, without threads and without sleeping.
//!
//! Time is made up too: a turn takes some milliseconds or seconds, as the seed decides, and a pause
//! ([`Store::pause`](pleiad::storage::Store::pause)) is over when that clock says so; when all pause,
//! the clock jumps. Some seeds change actors at each turn, others stay with one for long: an actor
//! that stops in the middle of its work while another does all of its own is what finds most.
//!
//! It repeats as far as the code under test is a function of its turns: no `tokio::time`, no
//! blocking threads, no order of a hash map. Names with random ids may differ between two runs of a
//! seed; the turns do not.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::seeded::{Chance, Life, Moment};

/// More turns than this are taken for actors that never come to an end.
const MOST_TURNS: usize = 200_000;
/// Real time after which actors are taken to wait for each other.
const PATIENCE: Duration = Duration::from_secs(120);

/// What becomes of a call whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done.
    Done,
    /// It is not done, and fails.
    Fails,
    /// It is done, and fails.
    Unanswered,
    /// Its actor dies.
    Dies(Moment),
}

/// A run of several actors. Clones are the same run.
#[derive(Clone)]
pub(crate) struct Simulation(Arc<Mutex<State>>);

struct State {
    chance: Chance,
    now: Duration,
    /// A turn takes up to twice this.
    turn: Duration,
    /// How often, of 100 times, the actor of the last turn gets the next one too.
    sticky: f64,
    last: usize,
    rates: Vec<(f64, Fate)>,
    actors: Vec<ActorState>,
    waiting: Vec<Waiting>,
    trace: Vec<String>,
    check: Option<Box<dyn FnMut() + Send>>,
}

struct ActorState {
    name: String,
    calls: usize,
    crash: Option<(usize, Moment)>,
}

struct Waiting {
    actor: usize,
    what: String,
    kind: Kind,
    due: Duration,
    go: oneshot::Sender<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Call,
    Pause,
    /// A call whose sender is dead.
    Late,
}

/// Runs `scenario` with this seed. If it panics, the seed and the last turns are printed.
pub(crate) fn simulate<T>(seed: u64, scenario: impl AsyncFnOnce(&Simulation) -> T) -> T {
    let simulation = Simulation::new(seed);
    let _told = Told(seed, simulation.clone());
    let idle = simulation.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || idle.next_turn())
        .build()
        .unwrap();
    let scenario = Box::pin(scenario(&simulation));
    let ended = runtime.block_on(async { tokio::time::timeout(PATIENCE, scenario).await });
    ended.expect("the actors come to an end: do they wait for each other?")
}

/// Says what happened when a scenario panics.
struct Told(u64, Simulation);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = self.1.state();
            let from = state.trace.len().saturating_sub(40);
            println!("seed {}, the last turns:\n  {}", self.0, state.trace[from..].join("\n  "));
        }
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let turn = Duration::from_millis([1, 20, 500, 5000][chance.below(4)]);
        let sticky = [0., 50., 90., 97.][chance.below(4)];
        Self(Arc::new(Mutex::new(State {
            chance,
            now: Duration::ZERO,
            turn,
            sticky,
            last: 0,
            rates: Vec::new(),
            actors: Vec::new(),
            waiting: Vec::new(),
            trace: Vec::new(),
            check: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A failed assertion of a turn poisons it, and is the panic to show.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new actor.
    pub(crate) fn actor(&self, name: &str) -> Actor {
        let mut state = self.state();
        state.actors.push(ActorState { name: name.to_owned(), calls: 0, crash: None });
        Actor { simulation: self.clone(), id: state.actors.len() - 1, life: Life::new() }
    }

    /// `fate` befalls `percent` of all calls.
    pub(crate) fn rate(&self, percent: f64, fate: Fate) {
        self.state().rates.push((percent, fate));
    }

    /// From here on no call fails by chance.
    pub(crate) fn calm(&self) {
        self.state().rates.clear();
    }

    /// Calls `check` before each turn: what it sees is what anybody can see. It may
    /// panic.
    pub(crate) fn between_turns(&self, check: impl FnMut() + Send + 'static) {
        self.state().check = Some(Box::new(check));
    }

    /// The turns so far, as `actor: call key`.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// The clock that stores and pauses go by.
    pub(crate) fn now(&self) -> Duration {
        self.state().now
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, time: Duration) {
        self.state().now += time;
    }

    /// Waits until no requests of the dead are on their way any more.
    pub(crate) async fn settle(&self) {
        while self.state().waiting.iter().any(|waiting| waiting.kind == Kind::Late) {
            self.wait(usize::MAX, "settle".to_owned(), Kind::Pause, Duration::ZERO).await;
        }
    }

    async fn wait(&self, actor: usize, what: String, kind: Kind, pause: Duration) -> Fate {
        let (go, turn) = oneshot::channel();
        {
            let mut state = self.state();
            let due = state.now + pause;
            state.waiting.push(Waiting { actor, what, kind, due, go });
        }
        match turn.await {
            Ok(fate) => fate,
            Err(_) => std::future::pending().await, // its actor died meanwhile
        }
    }

    /// Nothing can go on but by a turn: gives it to one of those that wait.
    fn next_turn(&self) {
        let check = self.state().check.take();
        if let Some(mut check) = check {
            check();
            self.state().check = Some(check);
        }
        let mut state = self.state();
        while let Some(at) = state.choose() {
            let waiting = state.waiting.remove(at);
            let fate = state.befall(&waiting);
            if waiting.go.send(fate).is_ok() {
                return;
            }
        }
    }
}

impl State {
    /// The one whose turn it is: an actor, then one of its calls.
    fn choose(&mut self) -> Option<usize> {
        self.waiting.retain(|waiting| !waiting.go.is_closed());
        let soonest = self.waiting.iter().map(|waiting| waiting.due).min()?;
        self.now = self.now.max(soonest);
        let ready = |waiting: &&Waiting| waiting.due <= self.now;
        let mut actors: Vec<_> = self.waiting.iter().filter(ready).map(|w| w.actor).collect();
        actors.sort_unstable();
        actors.dedup();
        let stays = actors.contains(&self.last) && self.chance.hits(self.sticky);
        let actor = if stays { self.last } else { actors[self.chance.below(actors.len())] };
        self.last = actor;
        let ready =
            |(_, waiting): &(usize, &Waiting)| waiting.due <= self.now && waiting.actor == actor;
        let calls: Vec<_> = self.waiting.iter().enumerate().filter(ready).map(|c| c.0).collect();
        Some(calls[self.chance.below(calls.len())])
    }

    fn befall(&mut self, waiting: &Waiting) -> Fate {
        self.now += self.turn.mul_f64(2. * self.chance.unit());
        let name = match self.actors.get(waiting.actor) {
            Some(actor) => actor.name.as_str(),
            None => "all",
        };
        self.trace.push(format!("{name}: {}", waiting.what));
        assert!(self.trace.len() < MOST_TURNS, "the actors come to no end");
        let Some(actor) = self.actors.get_mut(waiting.actor) else { return Fate::Done };
        if waiting.kind != Kind::Call {
            return Fate::Done;
        }
        actor.calls += 1;
        if let Some((call, moment)) = actor.crash
            && call == actor.calls
        {
            let id = waiting.actor;
            self.waiting.retain(|other| other.actor != id || other.kind == Kind::Late);
            return Fate::Dies(moment);
        }
        let mut fate = None;
        for (percent, other) in &self.rates {
            let hits = self.chance.hits(*percent);
            fate = fate.or(hits.then_some(*other));
        }
        fate.unwrap_or(Fate::Done)
    }
}

/// One of those who make calls: a process. Clones are the same actor.
#[derive(Clone)]
pub(crate) struct Actor {
    simulation: Simulation,
    id: usize,
    life: Life,
}

impl Actor {
    /// It dies at its call `number`, counted from 1.
    pub(crate) fn crash(&self, number: usize, moment: Moment) {
        self.simulation.state().actors[self.id].crash = Some((number, moment));
    }

    /// The calls it has made.
    pub(crate) fn calls(&self) -> usize {
        self.simulation.state().actors[self.id].calls
    }

    /// Runs its work; `None` if it died, and its work was dropped where it was. What its work has
    /// left to other tasks gets no turn any more.
    pub(crate) fn run<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = T> + 'a,
    ) -> LocalBoxFuture<'a, Option<T>> {
        let work = Box::pin(work);
        let begins = self.pause(Duration::ZERO); // who does so first is drawn, too
        let living = async {
            begins.await;
            work.await
        };
        Box::pin(self.life.run(living))
    }

    /// Waits for the turn of a call.
    pub(super) async fn turn(&self, what: String) -> Fate {
        self.living().await;
        self.simulation.wait(self.id, what, Kind::Call, Duration::ZERO).await
    }

    /// Waits for a random time between half of `at_most` and all of it.
    pub(super) async fn pause(&self, at_most: Duration) {
        self.living().await;
        let share = 0.5 + self.simulation.state().chance.unit() / 2.;
        let time = at_most.mul_f64(share);
        self.simulation.wait(self.id, "pause".to_owned(), Kind::Pause, time).await;
    }

    /// Makes `call` at some later time, whoever lives then.
    pub(super) fn later(&self, call: impl Future + Send + 'static) {
        let (simulation, id) = (self.simulation.clone(), self.id);
        let on_its_way = async move {
            simulation.wait(id, "a late request".to_owned(), Kind::Late, Duration::ZERO).await;
            call.await;
        };
        drop(tokio::runtime::Handle::current().spawn(on_its_way));
    }

    pub(super) async fn die<T>(&self) -> T {
        self.life.die().await
    }

    pub(super) fn now(&self) -> Duration {
        self.simulation.now()
    }

    /// Never returns for the dead.
    async fn living(&self) {
        if self.life.is_over() {
            self.die().await
        }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({})", self.id)
    }
}
