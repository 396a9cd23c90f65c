//! The same server over HTTP/2 without TLS.

use bytes::Bytes;
use harness::model_server::{ModelServer, Outcome};
use http_body_util::{BodyExt, Collected, Full};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::{chat, chat_stream, server};

/// The head and then the body, or the error that ended the stream.
fn ask(
    server: &ModelServer,
    body: &serde_json::Value,
) -> hyper::Result<(Response<()>, hyper::Result<Collected<Bytes>>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await?;
        tokio::spawn(connection);
        let request = Request::post("http://sim/v1/chat/completions")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let (head, body) = client.send_request(request).await?.into_parts();
        Ok((Response::from_parts(head, ()), body.collect().await))
    })
}

#[test]
fn a_stream_with_trailers_arrives_whole() {
    let server = server();
    let (head, body) = ask(&server, &chat_stream("m+trailer=x-late:1", "hello")).unwrap();
    let body = body.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(body.trailers().unwrap()["x-late"], "1");
    assert!(body.to_bytes().ends_with(b"data: [DONE]\n\n"));
    assert_eq!(server.requests()[0].version, hyper::Version::HTTP_2);
}

#[test]
fn a_cut_resets_the_stream() {
    let server = server();
    let (_, body) = ask(&server, &chat_stream("m+cut=2", "hello")).unwrap();
    assert!(body.is_err());
    assert_eq!(server.requests()[0].outcome, Outcome::Cut);
}

#[test]
fn a_reset_comes_before_the_headers() {
    assert!(ask(&server(), &chat("m+reset=headers", "hello")).is_err());
}
