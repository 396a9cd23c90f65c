//! Envoy's side of the filter: the callbacks of proxy-wasm ABI 0.2.1, a few lines each.
//!
//! The exports are this crate's own rather than an SDK's: an export that is not there is a callback
//! that Envoy does not make, and each one costs about a microsecond a request. A callback finds its
//! context, hands the event to the role's `step`, and answers with the flow.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::host::wasm::Envoy;
use crate::host::{Event, Flow};
use crate::{attempt, exchange};

mod root;

use root::Root;

/// A role with the state of one stream. The configuration is the one that was in force when the
/// stream began.
enum Stream {
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
    roots: HashMap<u32, Root>,
    streams: HashMap<u32, Stream>,
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
    let flow = with(Flow::Continue, |contexts| {
        contexts.streams.get_mut(&stream).map_or(Flow::Continue, |stream| stream.step(event))
    });
    match flow {
        Flow::Continue => 0,
        Flow::Pause => 1,
    }
}

impl Stream {
    fn step(&mut self, event: Event) -> Flow {
        match self {
            Self::Gateway(service, state) => {
                let (next, flow) = std::mem::take(state).step(service, event, &Envoy);
                *state = next;
                flow
            }
            Self::Provider(service, state) => {
                let (next, flow) = std::mem::take(state).step(service, event, &Envoy);
                *state = next;
                flow
            }
            #[cfg(feature = "contract")]
            Self::Contract => crate::host::contract::answer(event, &Envoy),
            Self::Unconfigured => Flow::Continue,
        }
    }
}

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
            contexts.streams.insert(context, root.stream());
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> u32 {
    let configured = root::configure();
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

/// Comes once for a stream, however it ended. Root contexts get it too, and are left alone.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(stream: u32) {
    on(stream, Event::Log);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with((), |contexts| {
        contexts.streams.remove(&context);
        contexts.roots.remove(&context);
    });
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}
