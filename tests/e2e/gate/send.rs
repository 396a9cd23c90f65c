//! Sends the rows: byte by byte over HTTP/1.1, and as frames over HTTP/2.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use harness::wire;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::rows::{Door, Row};
use super::world::{ROW, World};

/// What the caller gets.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// 0 if there was none.
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
}

/// All rows, several at a time.
pub(super) fn all_of(world: &World, rows: &[Row]) -> Vec<Answer> {
    let answers = Mutex::new(vec![Answer::default(); rows.len()]);
    let next = AtomicUsize::new(0);
    let by_one = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = rows.get(number) else { return };
            if !row.http2 {
                answers.lock().unwrap()[number] = one_of(world, number, row);
            }
        }
    };
    thread::scope(|scope| {
        (0..THREADS).for_each(|_| drop(scope.spawn(by_one)));
        scope.spawn(|| {
            for (number, answer) in over_http2(world, rows) {
                answers.lock().unwrap()[number] = answer;
            }
        });
    });
    answers.into_inner().unwrap()
}

pub(super) fn one_of(world: &World, number: usize, row: &Row) -> Answer {
    if row.http2 {
        return over_http2(world, std::slice::from_ref(row)).remove(0).1;
    }
    let method = if row.method == "UPGRADE" { "GET" } else { row.method };
    let mut request = wire::Request::new(method, &row.target()).header(ROW, number.to_string());
    for (name, value) in row.headers() {
        request = request.header(name, value);
    }
    if row.method == "UPGRADE" {
        // The first `connection` is that of the test itself.
        request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .patience(Duration::from_millis(300));
    }
    match request.body(row.bytes(number)).send(world.address(row.door)) {
        Ok(answer) => Answer {
            status: answer.status,
            text: String::from_utf8_lossy(&answer.body).into_owned(),
            headers: answer.headers,
        },
        Err(why) => Answer { text: format!("{why:#}"), ..Answer::default() },
    }
}

/// The rows over HTTP/2: one connection for each listener, many requests at once on each.
fn over_http2(world: &World, rows: &[Row]) -> Vec<(usize, Answer)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connections = Vec::new();
        for door in [Door::Closed, Door::Open, Door::Trusted] {
            let stream = tokio::net::TcpStream::connect(world.address(door)).await.unwrap();
            let (client, connection) =
                handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            connections.push((door, client));
        }
        let mut running = tokio::task::JoinSet::new();
        let mut answers = Vec::new();
        for (number, row) in rows.iter().enumerate().filter(|(_, row)| row.http2) {
            let (_, client) = connections.iter().find(|(door, _)| *door == row.door).unwrap();
            running.spawn(ask(client.clone(), request(number, row, world), number));
            if running.len() >= STREAMS {
                answers.push(running.join_next().await.unwrap().unwrap());
            }
        }
        while let Some(answer) = running.join_next().await {
            answers.push(answer.unwrap());
        }
        answers
    })
}

fn request(number: usize, row: &Row, world: &World) -> hyper::Request<Full<Bytes>> {
    let uri = format!("http://{}{}", world.address(row.door), row.target());
    let mut request = hyper::Request::builder().method(row.method).uri(uri).header(ROW, number);
    for (name, value) in row.headers() {
        request = request.header(name, value);
    }
    request.body(Full::new(row.bytes(number).into())).unwrap()
}

async fn ask(
    mut client: SendRequest<Full<Bytes>>,
    request: hyper::Request<Full<Bytes>>,
    number: usize,
) -> (usize, Answer) {
    let ready = client.ready().await;
    let sent = match ready {
        Ok(()) => client.send_request(request).await,
        Err(why) => Err(why),
    };
    let answer = match sent {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            let body =
                body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let header =
                |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                };
            Answer {
                status: head.status.as_u16(),
                headers: head.headers.iter().map(header).collect(),
                text: String::from_utf8_lossy(&body).into_owned(),
            }
        }
        Err(why) => Answer { text: why.to_string(), ..Answer::default() },
    };
    (number, answer)
}

const THREADS: usize = 6;
const STREAMS: usize = 12;
