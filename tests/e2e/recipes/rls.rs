//! A rate limit service of the published protocol (`envoy/service/ratelimit/v3/rls.proto`) with a
//! real Redis behind it, which counts as Envoy's reference service does: one key a descriptor, hits
//! added first, over the limit when more than that many were added. It is no product: a stand-in for
//! one, since none is in a package registry that these tests use.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use harness::process::{Lifetime, Process};
use harness::tools::debian;
use harness::wait_for;
use prost::Message;

use super::fresh_dir;
use super::grpc::Server;

/// Limits by the keys of their descriptor, joined by `/`.
pub(super) type Limits = &'static [(&'static str, u64)];

pub(super) struct Service {
    pub(super) server: Server,
    pub(super) redis: Arc<Redis>,
}

impl Service {
    pub(super) fn start(limits: Limits) -> Self {
        let redis = Arc::new(Redis::start());
        let counted = Arc::clone(&redis);
        let server = Server::start(move |path, message| {
            assert_eq!(path, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
            let request = RateLimitRequest::decode(message).unwrap();
            decide(&request, limits, &counted).encode_to_vec()
        });
        Self { server, redis }
    }
}

fn decide(request: &RateLimitRequest, limits: Limits, redis: &Redis) -> RateLimitResponse {
    let statuses: Vec<_> = request
        .descriptors
        .iter()
        .map(|descriptor| {
            let keys: Vec<_> = descriptor.entries.iter().map(|entry| &*entry.key).collect();
            let limit = limits.iter().find(|(named, _)| *named == keys.join("/"));
            let Some((_, limit)) = limit else { return DescriptorStatus { code: OK } };
            // Those of the descriptor stand above those of the request; without either it is one.
            let hits = descriptor.hits_addend.map_or(request.hits_addend.max(1).into(), |own| own);
            let used = redis.add(&key(&request.domain, &descriptor.entries), hits);
            DescriptorStatus { code: if used > *limit { OVER_LIMIT } else { OK } }
        })
        .collect();
    let over = statuses.iter().any(|status| status.code == OVER_LIMIT);
    RateLimitResponse { overall_code: if over { OVER_LIMIT } else { OK }, statuses }
}

fn key(domain: &str, entries: &[Entry]) -> String {
    let entries: Vec<_> =
        entries.iter().map(|entry| format!("{}={}", entry.key, entry.value)).collect();
    format!("{domain}:{}", entries.join(","))
}

/// A Redis server of this test's own, without a port.
pub(super) struct Redis {
    socket: PathBuf,
    _process: Process,
}

impl Redis {
    fn start() -> Self {
        let dir = fresh_dir();
        let socket = socket_path(&dir);
        let mut command = debian::redis_server().unwrap();
        command.current_dir(&dir).args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null());
        let process = Process::spawn("Redis", command, Lifetime::Owner).unwrap();
        let redis = Self { socket, _process: process };
        wait_for("Redis", Duration::from_secs(20), || {
            Ok(UnixStream::connect(&redis.socket).is_ok().then_some(()))
        })
        .unwrap();
        redis
    }

    /// What is counted under a key; 0 if there is none.
    pub(super) fn get(&self, key: &str) -> u64 {
        let mut reader = self.send(&format!("GET {key}\r\n"));
        match line(&mut reader).as_str() {
            "$-1" => 0,
            _ => line(&mut reader).parse().unwrap(),
        }
    }

    /// The keys that hits were added to.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut reader = self.send("KEYS *\r\n");
        let count: usize = line(&mut reader).strip_prefix('*').unwrap().parse().unwrap();
        let mut keys: Vec<_> = (0..count)
            .map(|_| {
                line(&mut reader);
                line(&mut reader)
            })
            .collect();
        keys.sort();
        keys
    }

    /// The window begins with the first hit.
    fn add(&self, key: &str, hits: u64) -> u64 {
        let mut reader = self.send(&format!("INCRBY {key} {hits}\r\nEXPIRE {key} 60 NX\r\n"));
        line(&mut reader).strip_prefix(':').unwrap().parse().unwrap()
    }

    fn send(&self, commands: &str) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(commands.as_bytes()).unwrap();
        BufReader::new(stream)
    }
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The path of a socket may have a hundred bytes, and the folder of a checkout may have more.
fn socket_path(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap();
    std::env::temp_dir().join(format!("{}.sock", name.display()))
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

const OK: i32 = 1;
const OVER_LIMIT: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct RateLimitRequest {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<Descriptor>,
    #[prost(uint32, tag = "3")]
    hits_addend: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
    /// `google.protobuf.UInt64Value`
    #[prost(message, optional, tag = "3")]
    hits_addend: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct RateLimitResponse {
    #[prost(int32, tag = "1")]
    overall_code: i32,
    #[prost(message, repeated, tag = "2")]
    statuses: Vec<DescriptorStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct DescriptorStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}
