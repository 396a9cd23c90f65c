//! The load: keep-alive connections that send the same request again as soon as it is answered, and
//! check each answer.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::upstream::{self, DOCUMENT, ORDER, Order, Shared};

/// One request, many times.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) path: &'static str,
    pub(super) body: Body,
    pub(super) order: Order,
    pub(super) connections: usize,
    pub(super) expect: Expect,
    /// The request's `cache-control`.
    pub(super) control: Option<&'static str>,
}

/// What a request says.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Same(Bytes),
    /// The digits at `number` count up, so that no two requests are equal.
    Numbered {
        text: Bytes,
        number: Range<usize>,
    },
}

/// The one right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// 200, with every byte that the upstream sends to a client which asks it directly.
    Everything,
    /// 200, with so many bytes: what was made of the upstream's answer.
    Length(usize),
    /// An error of the gateway's own.
    Status(u16),
}

/// When a run is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Elapsed(Duration),
    /// This many requests on each connection.
    Requests(usize),
}

/// What a run found. Times are in microseconds, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    /// From the request to the end of its answer.
    pub(super) latencies: Vec<u64>,
    /// From the request to the first event of its answer.
    pub(super) firsts: Vec<u64>,
    /// How long each event was on its way.
    pub(super) delays: Vec<u64>,
}

/// Open connections to one Envoy.
pub(super) struct Connections {
    load: Load,
    target: SocketAddr,
    senders: Vec<Sender>,
    shared: Arc<Shared>,
}

impl Load {
    pub(super) async fn connect(
        self,
        target: SocketAddr,
        shared: &Arc<Shared>,
    ) -> Result<Connections> {
        let mut senders = Vec::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            senders.push(sender);
        }
        Ok(Connections { load: self, target, senders, shared: Arc::clone(shared) })
    }
}

impl Connections {
    /// Sends requests on all connections at once. A wrong answer ends the run with an error.
    pub(super) async fn run(&mut self, until: Until) -> Result<Run> {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for (number, sender) in self.senders.drain(..).enumerate() {
            let client = Client {
                number,
                sender,
                load: self.load.clone(),
                host: self.target.to_string(),
                shared: Arc::clone(&self.shared),
                run: Run::default(),
            };
            tasks.spawn(client.work(until));
        }
        let mut all = Run::default();
        while let Some(joined) = tasks.join_next().await {
            let (sender, run) = joined??;
            self.senders.push(sender);
            all.requests += run.requests;
            all.latencies.extend(run.latencies);
            all.firsts.extend(run.firsts);
            all.delays.extend(run.delays);
        }
        all.elapsed = started.elapsed();
        for times in [&mut all.latencies, &mut all.firsts, &mut all.delays] {
            times.sort_unstable();
        }
        Ok(all)
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// One connection at work.
struct Client {
    number: usize,
    sender: Sender,
    load: Load,
    host: String,
    shared: Arc<Shared>,
    run: Run,
}

impl Client {
    async fn work(mut self, until: Until) -> Result<(Sender, Run)> {
        let started = Instant::now();
        loop {
            let over = match until {
                Until::Elapsed(limit) => started.elapsed() >= limit,
                Until::Requests(count) => self.run.requests >= count as u64,
            };
            if over {
                return Ok((self.sender, self.run));
            }
            match timeout(PATIENCE, self.once()).await {
                Ok(done) => done?,
                Err(_) => bail!("no whole answer within {PATIENCE:?}: something is held back"),
            }
        }
    }

    async fn once(&mut self) -> Result<()> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.load.path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .header(ORDER, self.load.order.header(self.number));
        if let Some(control) = self.load.control {
            request = request.header(CACHE_CONTROL, control);
        }
        let request = request.body(Full::new(self.load.body.next()))?;
        self.sender.ready().await.context("the connection was closed")?;
        let sent = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body();
        let (length, beginning) = match self.load.order {
            Order::Document | Order::Sized(_) => document(body).await?,
            Order::Stream { events, .. } => self.stream(body, events, sent).await?,
        };
        self.run.latencies.push(micros(sent.elapsed()));
        self.run.requests += 1;
        self.load.check(status, length, &beginning)
    }

    async fn stream(
        &mut self,
        mut body: Incoming,
        events: u32,
        sent: Instant,
    ) -> Result<(usize, Bytes)> {
        let mut length = 0;
        let mut beginning = Bytes::new();
        let mut line = Vec::new();
        let mut left = events;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if length == 0 {
                beginning = data.clone();
                self.run.firsts.push(micros(sent.elapsed()));
            }
            length += data.len();
            // An event may come in pieces.
            for piece in data.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                if !line.ends_with(b"\n") {
                    continue;
                }
                if let Some(age) = self.shared.age(&line) {
                    self.run.delays.push(micros(age));
                    left = left.saturating_sub(1);
                    if left > 0 {
                        self.shared.received(self.number);
                    }
                }
                line.clear();
            }
        }
        Ok((length, beginning))
    }
}

/// Its length, and how it begins.
async fn document(mut body: Incoming) -> Result<(usize, Bytes)> {
    let mut length = 0;
    let mut beginning = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if length == 0 {
            beginning = data.clone();
        }
        length += data.len();
    }
    Ok((length, beginning))
}

impl Body {
    fn next(&self) -> Bytes {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        match self {
            Self::Same(bytes) => bytes.clone(),
            Self::Numbered { text, number } => {
                let width = number.len();
                let next = format!("{:0width$}", NUMBER.fetch_add(1, Ordering::Relaxed));
                let mut text = text.to_vec();
                text[number.clone()].copy_from_slice(next.as_bytes());
                text.into()
            }
        }
    }
}

impl Load {
    fn check(&self, status: u16, length: usize, beginning: &[u8]) -> Result<()> {
        let seen = || String::from_utf8_lossy(beginning).into_owned();
        let expected = match (self.expect, self.order) {
            (Expect::Status(expected), _) => {
                ensure!(status == expected, "status {status} instead of {expected}: {}", seen());
                return Ok(());
            }
            (Expect::Length(expected), _) => expected,
            (Expect::Everything, Order::Document) => DOCUMENT.len(),
            (Expect::Everything, Order::Sized(size)) => size,
            (Expect::Everything, Order::Stream { events, .. }) => upstream::stream_len(events),
        };
        if (status, length) != (200, expected) {
            bail!("status {status} with {length} bytes instead of 200 with {expected}: {}", seen());
        }
        Ok(())
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);
