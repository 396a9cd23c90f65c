//! Envoy's side of the filter: the callbacks of proxy-wasm ABI 0.2.1, a few lines each.
//!
//! The exports are this crate's own rather than an SDK's: an export that is not there is a callback
//! that Envoy does not make, and each one costs about a microsecond a request. A callback finds its
//! context, hands the event to the role's `step`, and answers with the flow.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::host::wasm::{Envoy, Half};
use crate::host::{CallId, Event, Flow};
use crate::{attempt, exchange};

mod root;

use root::Root;

/// One stream, under the configuration that was in force when it began.
struct Stream {
    root: u32,
    role: Role,
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

/// All contexts of this worker, by Envoy's number. Configurations live in their root contexts: old
/// and new ones are in one VM while a listener drains.
#[derive(Default)]
struct Contexts {
    roots: ById<Root>,
    streams: ById<Stream>,
    /// Streams that wait for something that only time brings, longest not looked at first.
    waiting: VecDeque<u32>,
    /// Who waits for the answer to which call: Envoy brings them to the root context.
    calls: ById<u32>,
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

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// Runs `f` on the contexts. Envoy makes no callback inside another, so they are never borrowed
/// twice; if they were, `otherwise` is the answer instead of a trap.
fn with<T>(otherwise: T, f: impl FnOnce(&mut Contexts) -> T) -> T {
    CONTEXTS.with(|contexts| match contexts.try_borrow_mut() {
        Ok(mut contexts) => f(&mut contexts),
        Err(_) => otherwise,
    })
}

fn on(stream: u32, event: Event) -> u32 {
    match with(Flow::Continue, |contexts| contexts.step(stream, event)) {
        Flow::Continue => 0,
        Flow::Pause => 1,
    }
}

impl Contexts {
    fn step(&mut self, id: u32, event: Event) -> Flow {
        let Some(stream) = self.streams.get_mut(&id) else { return Flow::Continue };
        let envoy = Envoy::new(id, stream.root);
        let flow = stream.role.step(event, &envoy);
        if let Some(CallId(call)) = stream.role.awaits() {
            self.calls.insert(call, id);
        }
        if stream.role.waits() && !stream.waiting {
            stream.waiting = true;
            self.waiting.push_back(id);
            if let Some(root) = self.roots.get_mut(&stream.root) {
                root.hurry(envoy);
            }
        }
        flow
    }

    /// A step outside of the stream's own callbacks, where its flow has to be told.
    fn wake(&mut self, id: u32, event: Event) {
        let Some(root) = self.streams.get(&id).map(|stream| stream.root) else { return };
        let envoy = Envoy::new(id, root);
        if envoy.focus().is_ok() && self.step(id, event) == Flow::Continue {
            // A stream that is gone needs no resuming.
            let _ = envoy.resume(Half::Request);
        }
    }

    fn called(&mut self, call: u32) {
        if let Some(id) = self.calls.remove(&call) {
            self.wake(id, Event::Called(CallId(call)));
        }
    }

    fn delete(&mut self, context: u32) {
        self.roots.remove(&context);
        let stream = self.streams.remove(&context);
        if let Some(CallId(call)) = stream.and_then(|stream| stream.role.awaits()) {
            self.calls.remove(&call);
        }
    }

    fn tick(&mut self, root: u32) {
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
        let envoy = Envoy::new(root, root);
        if let (Ok(()), Some(root)) = (envoy.focus(), self.roots.get_mut(&root)) {
            root.tick(envoy, idle);
        }
    }
}

impl Role {
    fn step(&mut self, event: Event, envoy: &Envoy) -> Flow {
        match self {
            Self::Gateway(service, state) => {
                let (next, flow) = std::mem::take(state).step(service, event, envoy);
                *state = next;
                flow
            }
            Self::Provider(service, state) => {
                let (next, flow) = std::mem::take(state).step(service, event, envoy);
                *state = next;
                flow
            }
            #[cfg(feature = "contract")]
            Self::Contract => crate::host::contract::answer(event, envoy),
            Self::Unconfigured => Flow::Continue,
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

/// How many streams that wait are looked at in one tick: at most some milliseconds of work, and with
/// ticks as often as they then come, fifty thousand a second.
const LOOKS: usize = 256;

/// What a WASI reactor runs before anything else.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes this function; the host calls `_initialize` once, before all else.
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host returns; `host::wasm` takes it over with a capacity of exactly `size`.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut bytes = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(size));
    bytes.as_mut_ptr()
}

/// A root context has no parent.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    with((), |contexts| {
        if parent == 0 {
            contexts.roots.insert(context, Root::default());
        } else if let Some(root) = contexts.roots.get(&parent) {
            contexts
                .streams
                .insert(context, Stream { root: parent, role: root.role(), waiting: false });
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> u32 {
    let configured = root::configure(Envoy::new(root, root));
    with(false, |contexts| match configured {
        Some(configured) => contexts.roots.insert(root, configured).is_some(),
        None => false,
    })
    .into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(stream: u32, _count: usize, end: u32) -> u32 {
    on(stream, Event::RequestHeaders { end: end != 0 })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(stream: u32, size: usize, end: u32) -> u32 {
    on(stream, Event::RequestBody { size, end: end != 0 })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(stream: u32, _count: usize) -> u32 {
    on(stream, Event::RequestTrailers)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(stream: u32, _count: usize, end: u32) -> u32 {
    on(stream, Event::ResponseHeaders { end: end != 0 })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(stream: u32, size: usize, end: u32) -> u32 {
    on(stream, Event::ResponseBody { size, end: end != 0 })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(stream: u32, _count: usize) -> u32 {
    on(stream, Event::ResponseTrailers)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with((), |contexts| contexts.tick(root));
}

/// The context is the root context whoever made the call; answers to calls of its own are for nobody.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _root: u32,
    call: u32,
    _headers: usize,
    _body_size: usize,
    _trailers: usize,
) {
    with((), |contexts| contexts.called(call));
}

/// Comes once for a stream, however it ended. Root contexts get it too, and are left alone.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(stream: u32) {
    on(stream, Event::Log);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with((), |contexts| contexts.delete(context));
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}
