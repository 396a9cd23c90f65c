//! The real host: extern wrappers over proxy-wasm ABI 0.2.1 that return statuses and never panic.
//!
//! This is the only file that calls Envoy. A buffer that Envoy returns lies in memory it took from
//! the allocator that the plugin exports, in the layout of a `Vec` whose capacity is its size.

use std::{ptr, time::Duration};

use super::{
    Bodies, Buffer, CallId, Calls, Clock, Expect, Headers, Logger, Map, MetricId, MetricKind,
    Metrics, Pairs, Properties, Random, Reply, Request, SafeValue, SharedStore, Status, Stored,
    Timestamp,
};

/// Envoy, as seen from the callback that runs now: calls act on its context.
#[derive(Clone, Copy, Debug)]
pub struct Envoy {
    context: u32,
    root: u32,
}

impl Envoy {
    /// For a callback of `context`, which lives under `root`.
    pub fn new(context: u32, root: u32) -> Self {
        Self { context, root }
    }

    /// Makes the calls that follow act on this context, in a callback of another one.
    pub fn focus(&self) -> Result<(), Status> {
        Status::check(proxy_set_effective_context(self.context))
    }

    /// Lets the request of the stream in focus go on.
    pub fn resume() -> Result<(), Status> {
        Status::check(proxy_continue_stream(REQUEST))
    }

    /// Calls to the tick callback of the root context in focus; zero ends them.
    pub fn set_tick_period(period: Duration) -> Result<(), Status> {
        let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        Status::check(proxy_set_tick_period_milliseconds(millis))
    }
}

impl Headers for Envoy {
    fn headers(&self, map: Map) -> Result<Pairs, Status> {
        // SAFETY: `returned` passes pointers to locals that outlive the call.
        let bytes =
            returned(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })?;
        Ok(Pairs::from_abi(bytes))
    }

    fn set_header(&self, map: Map, name: &str, value: SafeValue<'_>) -> Result<(), Status> {
        let value = value.as_bytes();
        // SAFETY: both slices are valid for the whole call, which only reads them.
        Status::check(unsafe {
            proxy_replace_header_map_value(
                map as u32,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        })
    }

    fn remove_header(&self, map: Map, name: &[u8]) -> Result<(), Status> {
        // SAFETY: the slice is valid for the whole call, which only reads it.
        Status::check(unsafe {
            proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len())
        })
    }
}

impl Bodies for Envoy {
    fn body(&self, buffer: Buffer, start: usize, max: usize) -> Result<Vec<u8>, Status> {
        // SAFETY: `returned` passes pointers to locals that outlive the call.
        returned(|data, size| unsafe {
            proxy_get_buffer_bytes(buffer as u32, start, max, data, size)
        })
    }

    fn splice_body(
        &self,
        buffer: Buffer,
        start: usize,
        len: usize,
        bytes: &[u8],
    ) -> Result<(), Status> {
        // SAFETY: the slice is valid for the whole call, which only reads it.
        Status::check(unsafe {
            proxy_set_buffer_bytes(buffer as u32, start, len, bytes.as_ptr(), bytes.len())
        })
    }
}

impl Properties for Envoy {
    fn property(&self, path: &[&str]) -> Result<Vec<u8>, Status> {
        let path = path.join("\0");
        // SAFETY: the path is valid for the whole call, which only reads it; `returned` passes
        // pointers to locals that outlive the call.
        returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) -> Result<(), Status> {
        // SAFETY: both slices are valid for the whole call, which only reads them.
        Status::check(unsafe {
            proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
        })
    }

    fn clear_route_cache(&self) -> Result<(), Status> {
        let name = "clear_route_cache";
        // SAFETY: the name is valid for the whole call, which only reads it; the function takes no
        // argument; `returned` passes pointers to locals that outlive the call.
        returned(|data, size| unsafe {
            proxy_call_foreign_function(name.as_ptr(), name.len(), ptr::null(), 0, data, size)
        })
        .map(drop)
    }
}

impl Clock for Envoy {
    fn now(&self) -> Timestamp {
        let mut nanos = 0;
        // SAFETY: the pointer is to a local that outlives the call. The call fails only for a
        // pointer outside the VM's memory, so its status says nothing.
        let _ = unsafe { proxy_get_current_time_nanoseconds(&raw mut nanos) };
        Timestamp(nanos)
    }
}

impl Random for Envoy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Status> {
        for chunk in bytes.chunks_mut(MAX_RANDOM) {
            // SAFETY: the chunk is valid for writes of its length for the whole call.
            let errno = unsafe { random_get(chunk.as_mut_ptr(), chunk.len()) };
            if errno != 0 {
                return Err(Status::InternalFailure);
            }
        }
        Ok(())
    }
}

impl SharedStore for Envoy {
    fn load(&self, key: &[u8]) -> Result<Stored, Status> {
        let mut cas = 0;
        // SAFETY: the key is valid for the whole call, which only reads it; `cas` and what
        // `returned` passes are locals that outlive the call.
        let value = returned(|data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
        });
        match value {
            Ok(value) => {
                let value = (!value.is_empty()).then_some(value);
                Ok(Stored { value, version: Expect::Version(cas) })
            }
            Err(Status::NotFound) => Ok(Stored { value: None, version: Expect::Absent }),
            Err(status) => Err(status),
        }
    }

    fn save(&self, key: &[u8], value: &[u8], expect: Expect) -> Result<(), Status> {
        // SAFETY: both slices are valid for the whole call, which only reads them.
        Status::check(unsafe {
            proxy_set_shared_data(
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                expect.cas(),
            )
        })
    }
}

impl Metrics for Envoy {
    fn define(&self, kind: MetricKind, name: &str) -> Result<MetricId, Status> {
        let mut id = 0;
        // SAFETY: the name is valid for the whole call, which only reads it; `id` outlives it.
        Status::check(unsafe {
            proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id)
        })?;
        Ok(MetricId(id))
    }

    fn add(&self, id: MetricId, delta: i64) -> Result<(), Status> {
        Status::check(proxy_increment_metric(id.0, delta))
    }

    fn record(&self, id: MetricId, value: u64) -> Result<(), Status> {
        Status::check(proxy_record_metric(id.0, value))
    }

    fn value(&self, id: MetricId) -> Result<u64, Status> {
        let mut value = 0;
        // SAFETY: the pointer is to a local that outlives the call.
        Status::check(unsafe { proxy_get_metric(id.0, &raw mut value) })?;
        Ok(value)
    }
}

impl Reply for Envoy {
    fn reply(
        &self,
        status: u16,
        details: &str,
        headers: &[(&str, SafeValue<'_>)],
        body: &[u8],
    ) -> Result<(), Status> {
        let headers = Pairs::encode(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
        // SAFETY: all slices are valid for the whole call, which only reads them.
        Status::check(unsafe {
            proxy_send_local_response(
                u32::from(status),
                details.as_ptr(),
                details.len(),
                body.as_ptr(),
                body.len(),
                headers.as_ptr(),
                headers.len(),
                NO_GRPC_STATUS,
            )
        })
    }
}

impl Calls for Envoy {
    fn call(&self, request: &Request<'_>) -> Result<CallId, Status> {
        let headers = request.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        let headers = Pairs::encode(headers);
        let trailers = Pairs::encode([].into_iter());
        let timeout = u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX);
        let mut id = 0;
        // SAFETY: all slices are valid for the whole call, which only reads them; `id` outlives it.
        Status::check(unsafe {
            proxy_http_call(
                request.cluster.as_ptr(),
                request.cluster.len(),
                headers.as_ptr(),
                headers.len(),
                request.body.as_ptr(),
                request.body.len(),
                trailers.as_ptr(),
                trailers.len(),
                timeout,
                &raw mut id,
            )
        })?;
        Ok(CallId(id))
    }

    /// Calls of a stream end with it; those of the root context do not.
    fn send(&self, request: &Request<'_>) -> Result<(), Status> {
        Self { context: self.root, ..*self }.focus()?;
        let sent = self.call(request).map(drop);
        self.focus()?;
        sent
    }
}

impl Logger for Envoy {
    fn log(&self, level: log::Level, line: &str) {
        let level = match level {
            log::Level::Trace => 0,
            log::Level::Debug => 1,
            log::Level::Info => 2,
            log::Level::Warn => 3,
            log::Level::Error => 4,
        };
        // SAFETY: the line is valid for the whole call, which only reads it. A line that cannot be
        // logged cannot be reported either.
        let _ = unsafe { proxy_log(level, line.as_ptr(), line.len()) };
    }
}

/// Makes a call that returns a buffer and takes ownership of the buffer.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    Status::check(call(&raw mut data, &raw mut size))?;
    if data.is_null() || size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: a buffer that is not empty comes from the plugin's exported allocator, with the layout
    // of `size` bytes, which is that of a `Vec<u8>` with this capacity. The host has filled it and
    // keeps no pointer.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// What one call of `random_get` gives at most.
const MAX_RANDOM: usize = 64 << 10;

/// The half of a stream that is resumed.
const REQUEST: u32 = 0;

const NO_GRPC_STATUS: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    safe fn proxy_continue_stream(half: u32) -> u32;
    safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    safe fn proxy_set_effective_context(context: u32) -> u32;
    safe fn proxy_increment_metric(id: u32, delta: i64) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_log(level: u32, line: *const u8, line_len: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(nanos: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_len: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        len: usize,
        bytes: *const u8,
        bytes_len: usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        argument: *const u8,
        argument_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        value_len: usize,
        cas: u32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
        trailers: *const u8,
        trailers_len: usize,
        timeout: u32,
        id: *mut u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(bytes: *mut u8, len: usize) -> i32;
}
