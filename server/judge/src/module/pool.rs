//! A few instances, each on a thread of its own, handed out one call sequence at a time.
//!
//! GoogleSQL's parser and resolver recurse, so an instance needs a deep stack: deeper than the threads that an
//! async runtime lends. A worker is lost with its instance after a trap; the next checkout makes a fresh one.
//! While any call runs, one more thread moves the engine's epoch on, which is what deadlines are counted in.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use super::CompiledModule;
use super::instance::{CallError, Instance, TICK, Template};
use crate::error::JudgeError;

/// Native stack of a worker: the module's own limit and room for the host's frames.
const WORKER_STACK: usize = 12 << 20;
/// Time that a fresh instance has to initialise itself.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Instances that may live at once.
    pub(crate) instances: usize,
    /// Bytes of linear memory that one may hold.
    pub(crate) memory: usize,
    /// An instance that grew beyond this many bytes is not used again.
    pub(crate) memory_kept: usize,
}

/// The pool; `S` is what a caller keeps with an instance between checkouts.
pub(crate) struct Pool<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    template: Template,
    limits: Limits,
    state: Mutex<State<S>>,
    returned: Condvar,
    clock: Clock,
}

struct State<S> {
    idle: Vec<Worker<S>>,
    live: usize,
}

/// A checked-out instance; it goes back when dropped, unless it was lost.
pub(crate) struct Lease<S> {
    shared: Arc<Shared<S>>,
    worker: Option<Worker<S>>,
    /// The instance has grown too large to be used again.
    retired: bool,
}

struct Worker<S> {
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    state: S,
}

struct Job {
    method: &'static str,
    request: Vec<u8>,
    ticks: u64,
}

struct Answer {
    outcome: Result<Vec<u8>, CallError>,
    memory: usize,
}

impl<S: Default + Send + 'static> Pool<S> {
    /// A pool of this module's instances; none is made yet.
    pub(crate) fn new(module: &CompiledModule, limits: Limits) -> Result<Self, JudgeError> {
        let template =
            Template::new(&module.engine, &module.module, limits.memory).map_err(JudgeError::compile)?;
        Ok(Self {
            shared: Arc::new(Shared {
                template,
                limits,
                state: Mutex::new(State {
                    idle: Vec::new(),
                    live: 0,
                }),
                returned: Condvar::new(),
                clock: Clock::new(module.engine.clone())?,
            }),
        })
    }

    /// An instance: an idle one, a fresh one while there may be more, else the next that is given back.
    pub(crate) fn checkout(&self) -> Result<Lease<S>, CallError> {
        let mut state = lock(&self.shared.state);
        loop {
            if let Some(worker) = state.idle.pop() {
                return Ok(Lease {
                    shared: Arc::clone(&self.shared),
                    worker: Some(worker),
                    retired: false,
                });
            }
            if state.live < self.shared.limits.instances {
                state.live += 1;
                drop(state);
                // From here the lease's drop gives the place back, should starting fail.
                let mut lease = Lease {
                    shared: Arc::clone(&self.shared),
                    worker: None,
                    retired: false,
                };
                lease.worker = Some(start(&self.shared)?);
                return Ok(lease);
            }
            state = self
                .shared
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<S> Lease<S> {
    /// What is kept with this instance; nothing once it is lost.
    pub(crate) fn state(&mut self) -> Option<&mut S> {
        self.worker.as_mut().map(|worker| &mut worker.state)
    }

    /// Calls a method; after any error but [`CallError::Refused`] the instance is lost.
    pub(crate) fn call(
        &mut self,
        method: &'static str,
        request: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let lost = || CallError::Trap("the analyzer is no longer there".to_owned());
        let worker = self.worker.as_ref().ok_or_else(lost)?;
        let _running = self.shared.clock.run();
        let sent = worker.jobs.send(Job {
            method,
            request,
            ticks: ticks(deadline),
        });
        let answer = sent.ok().and_then(|()| worker.answers.recv().ok());
        let usable = answer.as_ref().is_some_and(|a| {
            self.retired |= a.memory > self.shared.limits.memory_kept;
            a.outcome
                .as_ref()
                .err()
                .is_none_or(CallError::leaves_instance_usable)
        });
        if !usable {
            self.worker = None;
        }
        answer.map_or_else(|| Err(lost()), |a| a.outcome)
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        match self.worker.take().filter(|_| !self.retired) {
            Some(worker) => state.idle.push(worker),
            None => state.live -= 1,
        }
        drop(state);
        self.shared.returned.notify_one();
    }
}

fn ticks(deadline: Duration) -> u64 {
    // One more, because the first tick may come at once.
    (deadline.as_nanos().div_ceil(TICK.as_nanos()) as u64).saturating_add(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a worker and waits until its instance is ready.
fn start<S: Default + Send + 'static>(shared: &Arc<Shared<S>>) -> Result<Worker<S>, CallError> {
    let (jobs, inbox) = channel();
    let (outbox, answers) = channel();
    let (ready, started) = channel();
    let owner = Arc::clone(shared);
    let _running = shared.clock.run();
    thread::Builder::new()
        .name("googlesql".to_owned())
        .stack_size(WORKER_STACK)
        .spawn(move || {
            let instance = owner.template.instantiate(ticks(START_LIMIT));
            drop(owner); // a worker must not keep its own pool alive
            match instance {
                Ok(instance) => {
                    if ready.send(Ok(())).is_ok() {
                        work(instance, &inbox, &outbox);
                    }
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })
        .map_err(|error| CallError::Trap(format!("no thread for the analyzer: {error}")))?;
    started
        .recv()
        .unwrap_or_else(|_| Err(CallError::Trap("the analyzer did not start".to_owned())))?;
    Ok(Worker {
        jobs,
        answers,
        state: S::default(),
    })
}

/// Answers jobs until the pool lets the worker go or the instance is lost.
fn work(mut instance: Instance, jobs: &Receiver<Job>, answers: &Sender<Answer>) {
    for job in jobs {
        let outcome = instance.call(job.method, &job.request, job.ticks);
        let lost = outcome
            .as_ref()
            .err()
            .is_some_and(|e| !e.leaves_instance_usable());
        let answer = Answer {
            outcome,
            memory: instance.memory_size(),
        };
        if answers.send(answer).is_err() || lost {
            return;
        }
    }
}

/// Moves the epoch on while calls run, and rests while none does.
struct Clock {
    shared: Arc<ClockState>,
}

struct ClockState {
    running: Mutex<Running>,
    changed: Condvar,
}

struct Running {
    calls: usize,
    closed: bool,
}

/// A call that is running, for as long as it lives.
struct RunningCall(Arc<ClockState>);

impl Clock {
    fn new(engine: Engine) -> Result<Self, JudgeError> {
        let shared = Arc::new(ClockState {
            running: Mutex::new(Running {
                calls: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let state = Arc::clone(&shared);
        thread::Builder::new()
            .name("googlesql-clock".to_owned())
            .spawn(move || tick(&state, &engine))
            .map_err(JudgeError::Thread)?;
        Ok(Self { shared })
    }

    fn run(&self) -> RunningCall {
        let mut running = lock(&self.shared.running);
        running.calls += 1;
        if running.calls == 1 {
            self.shared.changed.notify_all();
        }
        drop(running);
        RunningCall(Arc::clone(&self.shared))
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        lock(&self.0.running).calls -= 1;
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        lock(&self.shared.running).closed = true;
        self.shared.changed.notify_all();
    }
}

fn tick(state: &ClockState, engine: &Engine) {
    let mut running = lock(&state.running);
    while !running.closed {
        running = if running.calls == 0 {
            state
                .changed
                .wait(running)
                .unwrap_or_else(PoisonError::into_inner)
        } else {
            let waited = state.changed.wait_timeout(running, TICK);
            let (running, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                engine.increment_epoch();
            }
            running
        };
    }
}
