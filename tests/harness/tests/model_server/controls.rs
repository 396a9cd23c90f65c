//! One test for each control, but those that the unit tests of the script cover.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;
use harness::model_server::Outcome;
use serde_json::json;

use crate::{
    chat, chat_stream,
    client::{Answer, post, post_with, send, start},
    server,
};

const CHAT: &str = "/v1/chat/completions";

/// Asks for a stream under the control, by the model's name.
fn stream(control: &str) -> Answer {
    post(server().address(), CHAT, &chat_stream(&format!("m+{control}"), "hello"))
}

fn document(control: &str) -> Answer {
    post(server().address(), CHAT, &chat(&format!("m+{control}"), "hello"))
}

#[test]
fn status() {
    let answer = document("status=429");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    let created = document("status=201");
    assert_eq!((created.status, &created.json()["model"]), (201, &json!("m")));
}

#[test]
fn body() {
    let html = document("status=502+body=html");
    assert_eq!((html.status, html.header("content-type")), (502, Some("text/html")));
    assert!(html.text().contains("<h1>502</h1>"));
    assert_eq!(document("status=500+body=plain").header("content-type"), Some("text/plain"));
    let empty = document("status=503+body=empty");
    assert_eq!((empty.body.len(), empty.header("content-type"), empty.complete), (0, None, true));
}

#[test]
fn fail_first() {
    let server = server();
    let status =
        |text: &str| post(server.address(), CHAT, &chat("m+fail-first=2:503", text)).status;
    assert_eq!(
        [status("a"), status("a"), status("b"), status("a"), status("b"), status("b")],
        [503, 503, 503, 200, 503, 200]
    );
    server.clear();
    assert_eq!(status("a"), 503);
}

#[test]
fn delay_and_pause() {
    let server = server();
    let begun = Instant::now();
    let answer = post(server.address(), CHAT, &chat_stream("m+delay=50+pause=30", "hello"));
    let first = answer.reads[0].0 - begun;
    assert!(first >= Duration::from_millis(50), "{first:?}");
    assert!(begun.elapsed() >= Duration::from_millis(50 + 2 * 30), "three tokens have two pauses");
}

#[test]
fn a_token_arrives_before_the_next_is_sent() {
    let server = server();
    let answer = post(server.address(), CHAT, &chat_stream("m+pause=40", "hello"));
    let sent = &server.requests()[0].sent;
    // Role and first token go together, then one token a pause.
    assert!(answer.reads[0].0 < sent.iter().find(|sent| sent.event == 2).unwrap().at);
}

#[test]
fn stall() {
    let server = server();
    let ask = |control: &str, streamed: bool| {
        let request = match streamed {
            true => chat_stream(&format!("m+stall={control}"), "hello"),
            false => chat(&format!("m+stall={control}"), "hello"),
        };
        send(server.address(), "POST", CHAT, &[], request.to_string().as_bytes())
    };
    assert!(ask("headers", true).is_none());
    let body = ask("body", true).unwrap();
    assert_eq!((body.status, body.body.len(), body.complete), (200, 0, false));
    let half = ask("midtoken", true).unwrap();
    assert!(half.text().contains("data: {") && !half.text().ends_with('\n') && !half.complete);
    assert!(!ask("midtoken", false).unwrap().complete);
    // The client went away each time.
    std::thread::sleep(Duration::from_millis(50));
    assert!(server.requests().iter().all(|request| request.outcome == Outcome::Aborted));
}

#[test]
fn reset() {
    let server = server();
    let request = chat("m+reset=headers", "hello").to_string();
    let begun = Instant::now();
    assert!(send(server.address(), "POST", CHAT, &[], request.as_bytes()).is_none());
    assert!(begun.elapsed() < Duration::from_millis(400), "ended, not timed out");
    assert_eq!(server.requests()[0].outcome, Outcome::Cut);
}

#[test]
fn cut() {
    let answer = stream("cut=2");
    assert_eq!((answer.events().len(), answer.complete), (2, false));
    let document = document("cut=10");
    assert_eq!((document.body.len(), document.complete), (10, false));
}

#[test]
fn end_early() {
    let answer = stream("end-early=2");
    assert_eq!((answer.events().len(), answer.complete), (2, true));
    let document = document("end-early=10");
    assert_eq!((document.body.len(), document.complete), (10, true));
}

#[test]
fn error_event() {
    let events = stream("error-event=2").events();
    assert_eq!((events.len(), &events[2]["error"]["type"]), (3, &json!("server_error")));
}

#[test]
fn split_and_gap() {
    let server = server();
    let answer = post(server.address(), CHAT, &chat_stream("m+split=100+gap=2+unicode=1", "hello"));
    let whole = stream("unicode=1");
    assert!(answer.reads.len() > answer.body.len() / 200, "{} reads", answer.reads.len());
    assert!(server.requests()[0].sent.iter().all(|sent| sent.bytes <= 100));
    assert_eq!(answer.body.len(), whole.body.len());
}

#[test]
fn usage() {
    assert!(document("usage=none").json().get("usage").is_none());
    let mut request = chat_stream("m+usage=none", "hello");
    request["stream_options"] = json!({"include_usage": true});
    let events = post(server().address(), CHAT, &request).events();
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn cached() {
    let answer = document("cached=1");
    assert_eq!(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
}

#[test]
fn tokens() {
    assert_eq!(document("tokens=50").json()["usage"]["completion_tokens"], 50);
}

#[test]
fn size() {
    assert!((100_000..102_000).contains(&document("size=100000").body.len()));
}

#[test]
fn finish() {
    assert_eq!(document("finish=length").json()["choices"][0]["finish_reason"], "length");
}

#[test]
fn tools() {
    let mut request = chat("m+tools=3", "hello");
    request["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    let answer = post(server().address(), CHAT, &request).json();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"].as_array().map(Vec::len), Some(3));
}

#[test]
fn unicode() {
    let answer = document("unicode=1").json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    for length in 1..=4 {
        assert!(text.chars().any(|char| char.len_utf8() == length));
    }
}

#[test]
fn header_and_trailer() {
    let answer = document("header=x-request-id:mine+header=x-two:1+header=x-two:2");
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "x-request-id").count(), 1);
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "x-two").count(), 2);

    let request = chat("m+trailer=x-late:1+header=trailer:x-late", "hello").to_string();
    let server = server();
    let mut stream =
        start(server.address(), "POST", CHAT, &[("te", "trailers")], request.as_bytes());
    stream.wait_for("0\r\nx-late: 1\r\n\r\n").unwrap();
}

#[test]
fn line_ends_byte_order_mark_and_comments() {
    let plain = stream("crlf=lf").events().len();
    let crlf = stream("crlf=crlf");
    assert!(crlf.text().ends_with("data: [DONE]\r\n\r\n"));
    let cr = stream("crlf=cr");
    assert!(cr.text().ends_with("data: [DONE]\r\r") && !cr.text().contains('\n'));
    assert!(stream("bom=1").body.starts_with(b"\xef\xbb\xbfdata: "));
    let comments = stream("comments=1");
    assert_eq!(comments.text().matches(": keep-alive\n\n").count(), plain + 1);
}

#[test]
fn encoding() {
    let server = server();
    let request = chat_stream("m+encoding=gzip", "hello");
    assert_eq!(post(server.address(), CHAT, &request).header("content-encoding"), None);
    let gzip = post_with(server.address(), CHAT, &[("accept-encoding", "gzip")], &request);
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    MultiGzDecoder::new(&gzip.body[..]).read_to_string(&mut text).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_misspelt_control_is_an_error() {
    let answer = document("stauts=503");
    assert_eq!(
        (answer.status, answer.text()),
        (400, "the model server has no control \"stauts=503\"")
    );
}

#[test]
fn controls_come_by_header_too() {
    let server = server();
    let order = [("x-sim", "status=503; body=empty")];
    assert_eq!(post_with(server.address(), CHAT, &order, &chat("m", "x")).status, 503);
}

#[test]
fn what_came_is_recorded_byte_for_byte() {
    let server = server();
    let body = b"{\"model\": \"m\",  \"messages\": [{\"role\":\"user\",\"content\":\"x\"}]}";
    let path = "/v1/chat/completions?a=%20";
    send(server.address(), "POST", path, &[("x-b", "1"), ("x-a", "2")], body).unwrap();
    let requests = server.requests();
    let request = &requests[0];
    assert_eq!((request.path.as_str(), request.query.as_deref()), (CHAT, Some("a=%20")));
    assert_eq!(&request.body[..], body);
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "connection", "x-b", "x-a", "content-length"]);
    assert_eq!((request.status, request.outcome), (Some(200), Outcome::Complete));
    server.clear();
    assert_eq!((server.requests().len(), server.total()), (0, 1));
}

#[test]
fn a_server_with_a_name_has_orders_of_its_own() {
    let options = crate::Options { name: Some("first".to_owned()), ..Default::default() };
    let named = crate::ModelServer::start(options).unwrap();
    let headers = [("x-sim-first", "status=503"), ("x-sim-second", "status=429")];
    let status = |address| post_with(address, CHAT, &headers, &chat("m", "hello")).status;
    assert_eq!((status(named.address()), status(server().address())), (503, 200));
}

#[test]
fn key() {
    let server = server();
    let status = |value: &str| {
        let headers = [("x-sim", "key=right"), ("authorization", value)];
        post_with(server.address(), CHAT, &headers, &chat("m", "hello")).status
    };
    assert_eq!((status("Bearer right"), status("Bearer wrong")), (200, 401));
}
