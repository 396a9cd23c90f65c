//! The contexts of one worker: which stream runs under which configuration, and who waits for what.
//!
//! A host's shim hands each of its callbacks to [`Contexts`], which finds the stream's state, lets
//! it take a step and tells the host what to do next. A stream that is not known, or whose plugin
//! has no configuration, does not pass: see [`closed`].

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Duration;

use crate::held::{self, Held, Hold, Ledger};
use crate::host::{CallId, Clock, Event, Flow, Host, Status};
use crate::{attempt, closed, exchange};

mod root;

use root::Root;

/// The host of one worker's contexts.
pub trait Worker {
    type Host: Host;

    /// The host as `context` sees it, which lives under `root`.
    fn at<T>(&self, context: u32, root: u32, act: impl FnOnce(&Self::Host) -> T) -> T;

    /// Makes the calls that follow act on this context, in a callback of another one.
    fn focus(&self, context: u32) -> Result<(), Status>;

    /// Lets the request of the stream in focus go on, which a callback had paused.
    fn resume(&self) -> Result<(), Status>;

    /// Ticks for the root context in focus; zero ends them.
    fn set_tick_period(&self, period: Duration) -> Result<(), Status>;

    /// An environment variable of the host's process that it passes on.
    fn environment(&self, name: &str) -> Option<String>;
}

/// All contexts of a worker, by the host's number. Configurations live in their root contexts: old
/// and new ones are in one VM while a listener drains.
#[derive(Default)]
pub struct Contexts<W> {
    worker: W,
    /// What all streams together hold, of both roles.
    ledger: Rc<Ledger>,
    /// How other workers know this one.
    id: u64,
    roots: ById<Root>,
    streams: ById<Stream>,
    /// Streams that wait for something that only time brings, longest not looked at first.
    waiting: VecDeque<u32>,
    /// Who waits for the answer to which call: the host brings them to the root context.
    calls: ById<u32>,
}

/// One stream, under the configuration that was in force when it began.
struct Stream {
    root: u32,
    role: Role,
    hold: Hold,
    /// It is among those that wait.
    waiting: bool,
}

/// A role with the state of one stream.
enum Role {
    Gateway(Rc<exchange::Service>, exchange::State),
    Provider(Rc<attempt::Service>, attempt::State),
    #[cfg(feature = "contract")]
    Contract,
    /// Its plugin has no valid configuration.
    Unconfigured,
}

type ById<T> = HashMap<u32, T, BuildHasherDefault<Number>>;

/// Envoy counts contexts up: no client can choose numbers that collide, so a hash against that would
/// be for nothing, ten times a request.
#[derive(Default)]
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        // Spreads the low bits over all of it: the table takes some from either end.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

impl<W: Worker> Contexts<W> {
    /// A new context; a root context has the parent 0.
    pub fn create(&mut self, context: u32, parent: u32) {
        if parent == 0 {
            self.roots.insert(context, Root::default());
        } else if let Some(root) = self.roots.get(&parent) {
            let hold = Hold::new(&self.ledger);
            let stream = Stream { root: parent, role: root.role(), hold, waiting: false };
            self.streams.insert(context, stream);
        }
    }

    /// Loads a root context's configuration; `false` makes the host refuse it.
    pub fn configure(&mut self, root: u32) -> bool {
        let Self { worker, ledger, id, .. } = self;
        let configured = worker.at(root, root, |host| {
            while *id == 0 {
                *id = random(host)?;
            }
            root::configure(worker, ledger, host)
        });
        match configured {
            Some(configured) => self.roots.insert(root, configured).is_some(),
            None => false,
        }
    }

    /// An event of a stream, in its own callback.
    pub fn on(&mut self, id: u32, event: Event) -> Flow {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.worker.at(id, id, |host| closed::event(event, host));
        };
        let flow = self.worker.at(id, stream.root, |host| stream.role.step(event, host));
        stream.hold.set(stream.role.held());
        if let Some(CallId(call)) = stream.role.awaits() {
            self.calls.insert(call, id);
        }
        if stream.role.waits() && !stream.waiting {
            stream.waiting = true;
            self.waiting.push_back(id);
            if let Some(root) = self.roots.get_mut(&stream.root) {
                root.hurry(&self.worker);
            }
        }
        flow
    }

    /// The answer to a call of some stream's own; that to a call of nobody's is for nobody.
    pub fn called(&mut self, call: u32) {
        if let Some(id) = self.calls.remove(&call) {
            self.wake(id, Event::Called(CallId(call)));
        }
    }

    pub fn tick(&mut self, root: u32) {
        // Some of them, or a crowd that waits would stop everyone else.
        for _ in 0..self.waiting.len().min(LOOKS) {
            let Some(id) = self.waiting.pop_front() else { break };
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if stream.root == root {
                stream.waiting = false;
                if stream.role.waits() {
                    self.wake(id, Event::Tick);
                }
            } else {
                self.waiting.push_back(id);
            }
        }
        let idle = self.waiting.is_empty();
        if self.worker.focus(root).is_ok()
            && let Some(loaded) = self.roots.get_mut(&root)
        {
            self.worker.at(root, root, |host| {
                if loaded.tick(&self.worker, host, idle)
                    && let Ok(all) = held::report(host, self.id, self.ledger.held(), host.now())
                {
                    loaded.tell_held(host, all);
                }
            });
        }
    }

    /// The context is over. Comes after its last event.
    pub fn delete(&mut self, context: u32) {
        self.roots.remove(&context);
        let stream = self.streams.remove(&context);
        if let Some(CallId(call)) = stream.and_then(|stream| stream.role.awaits()) {
            self.calls.remove(&call);
        }
    }

    /// A step outside of the stream's own callbacks, where its flow has to be told.
    fn wake(&mut self, id: u32, event: Event) {
        if self.streams.contains_key(&id)
            && self.worker.focus(id).is_ok()
            && self.on(id, event) == Flow::Continue
        {
            // A stream that is gone needs no resuming.
            let _ = self.worker.resume();
        }
    }
}

impl Role {
    fn step(&mut self, event: Event, host: &impl Host) -> Flow {
        match self {
            Self::Gateway(service, state) => {
                let (next, flow) = std::mem::take(state).step(service, event, host);
                *state = next;
                flow
            }
            Self::Provider(service, state) => {
                let (next, flow) = std::mem::take(state).step(service, event, host);
                *state = next;
                flow
            }
            #[cfg(feature = "contract")]
            Self::Contract => crate::host::contract::answer(event, host),
            Self::Unconfigured => closed::event(event, host),
        }
    }

    fn held(&self) -> Held {
        match self {
            Self::Gateway(_, state) => state.held(),
            Self::Provider(_, state) => state.held(),
            #[cfg(feature = "contract")]
            Self::Contract => Held::default(),
            Self::Unconfigured => Held::default(),
        }
    }

    fn waits(&self) -> bool {
        matches!(self, Self::Gateway(_, state) if state.waits())
    }

    fn awaits(&self) -> Option<CallId> {
        match self {
            Self::Gateway(_, state) => state.awaits(),
            _ => None,
        }
    }
}

/// A number that no other worker has. `None`: the host has no randomness to give.
fn random(host: &impl Host) -> Option<u64> {
    let mut bytes = [0; 8];
    host.fill(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// How many streams that wait are looked at in one tick: at most some milliseconds of work, and with
/// ticks as often as they then come, fifty thousand a second.
const LOOKS: usize = 256;

#[cfg(test)]
mod tests;
