//! The host calls, as the filter sees them.

use super::{Access, Call, Fake, HeaderMap, LocalReply, Metric, SentCall};
use crate::host::{
    Bodies, Buffer, CallId, Calls, Clock, Expect, Headers, Logger, Map, MetricId, MetricKind,
    Metrics, Pairs, Properties, Random, Reply, Request, SafeValue, SharedStore, Status, Stored,
    Timestamp,
};

impl Headers for Fake {
    fn headers(&self, map: Map) -> Result<Pairs, Status> {
        self.begin(Call::Headers)?;
        let stream = self.stream.borrow();
        let headers = match stream.maps.get(&(map as u32)) {
            Some(map) if map.access != Access::Gone || stream.logging => map.headers.as_slice(),
            _ => &[],
        };
        let bytes = Pairs::encode(headers.iter().map(|(n, v)| (n.as_slice(), v.as_slice())));
        Ok(Pairs::from_abi(bytes))
    }

    fn set_header(&self, map: Map, name: &str, value: SafeValue<'_>) -> Result<(), Status> {
        self.begin(Call::SetHeader)?;
        let name = name.to_ascii_lowercase().into_bytes();
        self.edit(map, |headers| {
            headers.retain(|(n, _)| *n != name);
            headers.push((name, value.as_bytes().to_vec()));
        })
    }

    fn remove_header(&self, map: Map, name: &[u8]) -> Result<(), Status> {
        self.begin(Call::RemoveHeader)?;
        let name = name.to_ascii_lowercase();
        self.edit(map, |headers| headers.retain(|(n, _)| *n != name))
    }
}

impl Bodies for Fake {
    fn body(&self, buffer: Buffer, start: usize, max: usize) -> Result<Vec<u8>, Status> {
        self.begin(Call::Body)?;
        let stream = self.stream.borrow();
        let bytes = match (stream.buffers.get(&(buffer as u32)), buffer) {
            (Some(bytes), _) => bytes.as_slice(),
            (None, Buffer::RequestBody | Buffer::ResponseBody) => &[],
            (None, _) => return Err(Status::NotFound),
        };
        Ok(bytes.iter().skip(start).take(max).copied().collect())
    }

    fn splice_body(
        &self,
        buffer: Buffer,
        start: usize,
        len: usize,
        bytes: &[u8],
    ) -> Result<(), Status> {
        self.begin(Call::SpliceBody)?;
        let mut stream = self.stream.borrow_mut();
        let old = stream.buffers.get_mut(&(buffer as u32)).ok_or(Status::BadArgument)?;
        match (start, len) {
            (0, len) => drop(old.splice(..len.min(old.len()), bytes.iter().copied())),
            (start, _) if start >= old.len() => old.extend_from_slice(bytes),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }
}

impl Properties for Fake {
    fn property(&self, path: &[&str]) -> Result<Vec<u8>, Status> {
        self.begin(Call::Property)?;
        let stream = self.stream.borrow();
        let state = match path {
            [name] => stream.filter_state.get(*name),
            ["filter_state", key] => {
                key.strip_prefix("wasm.").and_then(|name| stream.filter_state.get(name))
            }
            _ => None,
        };
        let value = state.or_else(|| stream.properties.get(&path.join("\0")));
        value.cloned().ok_or(Status::NotFound)
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) -> Result<(), Status> {
        self.begin(Call::SetFilterState)?;
        self.stream.borrow_mut().filter_state.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn clear_route_cache(&self) -> Result<(), Status> {
        self.begin(Call::ClearRouteCache)?;
        self.stream.borrow_mut().route_cache_clears += 1;
        Ok(())
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        let _ = self.begin(Call::Now);
        self.process.now()
    }
}

impl Random for Fake {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Status> {
        self.begin(Call::Fill)?;
        for chunk in bytes.chunks_mut(8) {
            let random = self.process.random().to_le_bytes();
            chunk.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        }
        Ok(())
    }
}

impl SharedStore for Fake {
    fn load(&self, key: &[u8]) -> Result<Stored, Status> {
        self.begin(Call::Load)?;
        Ok(match self.process.load(key) {
            None => Stored { value: None, version: Expect::Absent },
            Some((value, version)) => Stored {
                value: (!value.is_empty()).then_some(value),
                version: Expect::Version(version),
            },
        })
    }

    fn save(&self, key: &[u8], value: &[u8], expect: Expect) -> Result<(), Status> {
        self.begin(Call::Save)?;
        if expect != Expect::Anything && self.collisions.get() > 0 {
            self.collisions.set(self.collisions.get() - 1);
            self.process.touch(key);
        }
        self.process.save(key, value, expect.cas())
    }
}

impl Metrics for Fake {
    fn define(&self, kind: MetricKind, name: &str) -> Result<MetricId, Status> {
        self.begin(Call::Define)?;
        let mut defined = self.defined.borrow_mut();
        defined.push(self.process.define(kind, name));
        Ok(MetricId(u32::try_from(defined.len()).unwrap_or(u32::MAX)))
    }

    fn add(&self, id: MetricId, delta: i64) -> Result<(), Status> {
        self.begin(Call::Add)?;
        self.change(id, |metric| metric.add(delta))
    }

    fn record(&self, id: MetricId, value: u64) -> Result<(), Status> {
        self.begin(Call::Record)?;
        self.change(id, |metric| {
            metric.record(value);
            Ok(())
        })
    }

    fn value(&self, id: MetricId) -> Result<u64, Status> {
        self.begin(Call::Value)?;
        self.change(id, |metric| metric.value())
    }
}

impl Reply for Fake {
    fn reply(
        &self,
        status: u16,
        details: &str,
        headers: &[(&str, SafeValue<'_>)],
        body: &[u8],
    ) -> Result<(), Status> {
        self.begin(Call::Reply)?;
        let lower = |(name, value): &(&str, SafeValue<'_>)| {
            (name.to_ascii_lowercase(), value.as_bytes().to_vec())
        };
        self.stream.borrow_mut().replies.push(LocalReply {
            status,
            details: details.replace(' ', "_"),
            headers: headers.iter().map(lower).collect(),
            body: body.to_vec(),
        });
        Ok(())
    }
}

impl Calls for Fake {
    fn call(&self, request: &Request<'_>) -> Result<CallId, Status> {
        self.begin(Call::Call)?;
        let id = CallId(u32::try_from(self.calls(Call::Call)).unwrap_or(u32::MAX));
        self.sent(Some(id), request).map(|()| id)
    }

    fn send(&self, request: &Request<'_>) -> Result<(), Status> {
        self.begin(Call::Call)?;
        self.sent(None, request)
    }
}

impl Logger for Fake {
    fn log(&self, level: log::Level, line: &str) {
        let _ = self.begin(Call::Log);
        self.log.borrow_mut().push((level, line.to_owned()));
    }
}

impl Fake {
    fn sent(&self, id: Option<CallId>, request: &Request<'_>) -> Result<(), Status> {
        let has = |name: &str| request.headers.iter().any(|(n, _)| *n == name);
        if ![":method", ":path", ":authority"].into_iter().all(has) {
            return Err(Status::BadArgument);
        }
        let header =
            |(name, value): &(&str, SafeValue<'_>)| ((*name).to_owned(), value.as_bytes().to_vec());
        self.stream.borrow_mut().sent.push(SentCall {
            id,
            cluster: request.cluster.to_owned(),
            headers: request.headers.iter().map(header).collect(),
            body: request.body.to_vec(),
            timeout: request.timeout,
        });
        Ok(())
    }

    fn change<T>(
        &self,
        id: MetricId,
        change: impl FnOnce(&mut Metric) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let defined = self.defined.borrow();
        let stat = id.0.checked_sub(1).and_then(|at| defined.get(at as usize));
        self.process.change(stat.ok_or(Status::NotFound)?, change)
    }

    /// Changes a header map; request headers choose the route.
    fn edit(
        &self,
        map: Map,
        change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>),
    ) -> Result<(), Status> {
        let mut stream = self.stream.borrow_mut();
        match stream.maps.get_mut(&(map as u32)) {
            Some(HeaderMap { access: Access::Held, headers }) => change(headers),
            Some(HeaderMap { access: Access::Late, headers }) => {
                change(headers);
                stream.late_edits += 1;
                return Ok(());
            }
            Some(HeaderMap { access: Access::Gone, .. }) | None => return Err(Status::BadArgument),
        }
        if map == Map::RequestHeaders {
            stream.route_cache_clears += 1;
        }
        Ok(())
    }
}
