//! Envoy's side of the filter: the callbacks of proxy-wasm ABI 0.2.1, a few lines each.
//!
//! The exports are this crate's own rather than an SDK's: an export that is not there is a callback
//! that Envoy does not make, and each one costs about a microsecond a request. A callback hands its
//! event to the [`Contexts`], and answers with the flow.

use std::alloc::{Layout, alloc};
use std::cell::RefCell;
use std::ptr;
use std::time::Duration;

use crate::closed;
use crate::host::wasm::Envoy;
use crate::host::{Event, Flow, Status};
use crate::runtime::{Contexts, Worker};

/// The worker that this VM belongs to.
#[derive(Default)]
struct Vm;

impl Worker for Vm {
    type Host = Envoy;

    fn at<T>(&self, context: u32, root: u32, act: impl FnOnce(&Envoy) -> T) -> T {
        act(&Envoy::new(context, root))
    }

    fn focus(&self, context: u32) -> Result<(), Status> {
        Envoy::new(context, context).focus()
    }

    fn resume(&self) -> Result<(), Status> {
        Envoy::resume()
    }

    fn set_tick_period(&self, period: Duration) -> Result<(), Status> {
        Envoy::set_tick_period(period)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the provider role's credentials may come from here"
    )]
    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

thread_local! {
    static CONTEXTS: RefCell<Contexts<Vm>> = RefCell::default();
}

/// Runs `f` on the contexts. Envoy makes no callback inside another, so they are never borrowed
/// twice; if they were, `otherwise` says what to do instead of a trap.
fn with<T>(otherwise: impl FnOnce() -> T, f: impl FnOnce(&mut Contexts<Vm>) -> T) -> T {
    CONTEXTS.with(|contexts| match contexts.try_borrow_mut() {
        Ok(mut contexts) => f(&mut contexts),
        Err(_) => otherwise(),
    })
}

/// An event of a stream. Without its state nothing passes.
fn on(stream: u32, event: Event) -> u32 {
    let unknown = || closed::event(event, &Envoy::new(stream, stream));
    match with(unknown, |contexts| contexts.on(stream, event)) {
        Flow::Continue => 0,
        Flow::Pause => 1,
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

/// Memory for what the host returns, in the layout in which `host::wasm` takes it over. Null, which
/// fails the host's call and nothing else, where there is not so much.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        Ok(layout) if layout.size() == 0 => ptr::dangling_mut(),
        // SAFETY: the layout's size is not 0.
        Ok(layout) => unsafe { alloc(layout) },
        Err(_) => ptr::null_mut(),
    }
}

/// A root context has no parent.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    with(|| (), |contexts| contexts.create(context, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> u32 {
    with(|| false, |contexts| contexts.configure(root)).into()
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
    with(|| (), |contexts| contexts.tick(root));
}

/// The context is the root context whoever made the call.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _root: u32,
    call: u32,
    _headers: usize,
    _body_size: usize,
    _trailers: usize,
) {
    with(|| (), |contexts| contexts.called(call));
}

/// Comes once for a stream, however it ended. Root contexts get it too, and are left alone.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(stream: u32) {
    on(stream, Event::Log);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with(|| (), |contexts| contexts.delete(context));
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}
