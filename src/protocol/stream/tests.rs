use proptest::prelude::*;

use super::*;

/// One stream as the provider sends it and as the client gets it.
struct Case {
    operation: Operation,
    asked: bool,
    sent: &'static str,
    /// `None`: exactly what was sent.
    received: Option<&'static str>,
    /// Input, cached, cache write, output, reasoning.
    usage: [u64; 5],
    quality: Quality,
    content_events: u64,
    end: fn(Vec<u8>) -> End,
}

#[test]
fn published_streams_come_through_under_every_chunking() {
    for (number, case) in CASES.iter().enumerate() {
        for chunks in cuts(case.sent.as_bytes()) {
            check(case, &chunks, number);
        }
    }
}

#[test]
fn a_stream_without_its_end_gets_an_error_event() {
    let openai = r#"data: {"error":{"code":"provider_error","message":"The provider's stream ended before the answer was complete.","param":null,"type":"server_error"}}"#;
    let cases: [(Operation, &str, &str, &str); 5] = [
        (
            Operation::Chat,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"cont",
            openai,
        ),
        (
            Operation::Responses,
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\n",
            "event: response.completed\n",
            "event: error\ndata: {\"code\":\"provider_error\",\"message\":\"The provider's stream ended before the answer was complete.\",\"param\":null,\"sequence_number\":1,\"type\":\"error\"}",
        ),
        (
            Operation::Messages,
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: message_stop\ndata: {\"type\":\"messa",
            "event: error\ndata: {\"error\":{\"message\":\"The provider's stream ended before the answer was complete.\",\"type\":\"api_error\"},\"request_id\":\"req-1\",\"type\":\"error\"}",
        ),
        (
            Operation::GeminiStream,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n",
            "data: {\"candidates\":[{\"finishReason\":\"ST",
            "data: {\"error\":{\"code\":502,\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"domain\":\"llm-gateway\",\"reason\":\"PROVIDER_ERROR\"}],\"message\":\"The provider's stream ended before the answer was complete.\",\"status\":\"INTERNAL\"}}",
        ),
        (
            Operation::OllamaChat,
            "{\"message\":{\"content\":\"a\"},\"done\":false}\n",
            "{\"message\":{\"content\":\"b\"},\"done\":tr",
            "{\"error\":\"The provider's stream ended before the answer was complete.\"}",
        ),
    ];
    for (operation, whole, half, error) in cases {
        let ends = if operation == Operation::OllamaChat { "\n" } else { "\n\n" };
        for half in ["", half] {
            let sent = format!("{whole}{half}");
            for chunks in cuts(sent.as_bytes()) {
                let run = run(operation, false, &chunks);
                assert_eq!(text(&run.body), format!("{whole}{error}{ends}"), "{chunks:?}");
                assert!(matches!(run.end, End::Cut { .. }));
            }
        }
    }
}

#[test]
fn an_event_that_only_lacks_its_blank_line_is_delivered() {
    let whole = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for end in ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r"] {
        let sent = format!("{whole}{end}");
        for chunks in cuts(sent.as_bytes()) {
            let run = run(Operation::Chat, true, &chunks);
            assert_eq!(text(&run.body), sent);
            assert!(matches!(run.end, End::Complete { .. }));
        }
    }
    let sent = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}";
    let run = run(Operation::Chat, true, &[sent.as_bytes()]);
    assert!(text(&run.body).starts_with(&format!("{sent}\n\ndata: {{\"error\"")));
    assert_eq!(run.content_events, 1);
}

#[test]
fn a_stream_that_said_why_it_ended_is_whole_without_done() {
    let head =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\ndata:\n\n";
    let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\" : \"stop\"}]}\n\n";
    let usage = "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    let sent = format!("{head}{stop}{usage}");
    for chunks in cuts(sent.as_bytes()) {
        let asked = run(Operation::Chat, true, &chunks);
        assert_eq!(text(&asked.body), format!("{sent}data: [DONE]\n\n"));
        assert!(matches!(asked.end, End::Complete { .. }));
        // A usage without choices is not for a client that did not ask for it.
        let unasked = run(Operation::Chat, false, &chunks);
        assert_eq!(text(&unasked.body), format!("{head}{stop}data: [DONE]\n\n"));
    }
}

#[test]
fn a_second_done_is_dropped_and_nothing_is_added_after_the_first() {
    let once = "data: {\"choices\":[]}\n\ndata: [DONE]\n\n";
    let twice = format!("{once}data: [DONE]\n\n");
    for chunks in cuts(twice.as_bytes()) {
        let run = run(Operation::Chat, true, &chunks);
        assert_eq!(text(&run.body), once);
        assert_eq!(run.end, End::Complete { append: vec![] });
    }
}

#[test]
fn an_error_event_says_whether_the_model_had_spoken() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let content = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    for (sent, after_content) in [
        (format!("{role}{error}"), false),
        (format!("{role}{content}{error}data: [DONE]\n\n"), true),
    ] {
        for chunks in cuts(sent.as_bytes()) {
            let run = run(Operation::Chat, false, &chunks);
            assert_eq!(run.phase, Phase::Failed { after_content });
            assert_eq!(run.end, End::Failed { append: vec![] });
            assert_eq!(text(&run.body), sent);
        }
    }
}

#[test]
fn a_whole_event_is_never_held_back() {
    for case in CASES {
        let body = case.sent.as_bytes();
        for at in 0..=body.len() {
            let mut relay = Relay::new(case.operation, true).unwrap();
            let passed = relayed(&mut relay, &body[..at]).len();
            let end = if relay.reader.format == Format::JsonLines { "\n" } else { "\n\n" };
            let whole = memchr::memmem::rfind(&body[..at], end.as_bytes());
            let whole = whole.map_or(0, |at| at + end.len());
            assert!(passed >= whole, "{at}: {passed} < {whole}");
        }
    }
}

#[test]
fn the_usual_chunk_is_passed_on_without_a_copy() {
    let chunk = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let mut relay = Relay::new(Operation::Chat, false).unwrap();
    assert_eq!(relay.chunk(chunk), Relayed::Unchanged);
    assert_eq!(relay.out.capacity(), 0);
}

#[test]
fn the_last_event_may_be_larger_than_an_event_may_be() {
    let image = "x".repeat(sse::MAX_FRAME);
    let sent = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":\"{image}\"}}}}\n\n"
    );
    for step in [sent.len(), 16 << 10] {
        let chunks: Vec<_> = sent.as_bytes().chunks(step).collect();
        let run = run(Operation::Responses, true, &chunks);
        assert!(run.body == sent.as_bytes());
        assert_eq!(run.end, End::Complete { append: vec![] });
    }
}

#[test]
fn an_abort_keeps_what_the_provider_had_reported() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n";
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"twelve bytes\"}}\n\n";
    let mut relay = Relay::new(Operation::Messages, false).unwrap();
    relay.chunk(start.as_bytes());
    relay.chunk(delta.as_bytes());
    let usage = Usage { input: 30, cached_input: 5, output: 3, ..Usage::default() };
    assert_eq!(relay.usage(9), (usage, Quality::Estimated));
}

#[test]
fn a_usage_member_goes_with_one_comma_wherever_it_stands() {
    for (sent, received) in [
        (r#"{"a":1,"usage":null}"#, r#"{"a":1}"#),
        (r#"{"a":1, "usage": null }"#, r#"{"a":1 }"#),
        (r#"{"usage":null, "a":1}"#, r#"{"a":1}"#),
        (r#"{"a":1,"usage":null,"b":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"usage":null}"#, "{}"),
        (r#"{"a":{"usage":null},"b":"usage"}"#, r#"{"a":{"usage":null},"b":"usage"}"#),
    ] {
        let sent = format!("data: {sent}\r\n\r\n");
        for chunks in cuts(sent.as_bytes()) {
            let body = run(Operation::Chat, false, &chunks).body;
            assert!(
                text(&body).starts_with(&format!("data: {received}\r\n\r\n")),
                "{}",
                text(&body)
            );
        }
    }
}

proptest! {
    #[test]
    fn chunking_changes_nothing(
        case in 0..CASES.len(),
        at in prop::collection::vec(0usize..4000, 0..12),
        crlf in any::<bool>(),
        asked in any::<bool>(),
    ) {
        let case = &CASES[case];
        let sent = if crlf { case.sent.replace('\n', "\r\n") } else { case.sent.to_owned() };
        let whole = run(case.operation, asked, &[sent.as_bytes()]);
        let cut = run(case.operation, asked, &split(sent.as_bytes(), at));
        prop_assert_eq!(text(&cut.body), text(&whole.body));
        prop_assert_eq!(cut.usage, whole.usage);
        prop_assert_eq!(cut.end, whole.end);
        prop_assert_eq!(cut.content_events, whole.content_events);
    }

    #[test]
    fn no_bytes_are_too_strange(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in prop::collection::vec(0usize..200, 0..4),
        operation in prop::sample::select(&[Operation::Chat, Operation::Messages, Operation::OllamaChat][..]),
    ) {
        let whole = run(operation, false, &[&bytes]);
        let cut = run(operation, false, &split(&bytes, at));
        prop_assert_eq!(cut.body, whole.body);
    }
}

fn check(case: &Case, chunks: &[&[u8]], number: usize) {
    let run = run(case.operation, case.asked, chunks);
    let [input, cached_input, cache_write, output, reasoning] = case.usage;
    let usage = Usage { input, cached_input, cache_write, output, reasoning };
    assert_eq!(text(&run.body), case.received.unwrap_or(case.sent), "case {number} {chunks:?}");
    assert_eq!(run.usage, (usage, case.quality), "case {number}");
    assert_eq!(run.content_events, case.content_events, "case {number}");
    assert_eq!(run.end, (case.end)(vec![]), "case {number}");
}

struct Run {
    body: Vec<u8>,
    usage: (Usage, Quality),
    content_events: u64,
    phase: Phase,
    end: End,
}

/// A whole stream, with 9 tokens as the estimated input.
fn run(operation: Operation, asked: bool, chunks: &[&[u8]]) -> Run {
    let mut relay = Relay::new(operation, asked).unwrap();
    let mut body = Vec::new();
    chunks.iter().for_each(|chunk| body.extend(relayed(&mut relay, chunk)));
    let end = relay.end("req-1");
    let (End::Complete { append } | End::Failed { append } | End::Cut { append }) = &end;
    body.extend_from_slice(append);
    Run {
        body,
        usage: relay.usage(9),
        content_events: relay.content_events(),
        phase: relay.phase(),
        end,
    }
}

fn relayed(relay: &mut Relay, chunk: &[u8]) -> Vec<u8> {
    match relay.chunk(chunk) {
        Relayed::Unchanged => chunk.to_vec(),
        Relayed::Replaced(bytes) => bytes.to_vec(),
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// `body` in pieces of every size up to 40 bytes, and cut once at every byte.
fn cuts(body: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut all: Vec<Vec<&[u8]>> = (1..40).map(|size| body.chunks(size).collect()).collect();
    all.extend((0..body.len()).map(|at| vec![&body[..at], &body[at..]]));
    all
}

fn split(body: &[u8], mut at: Vec<usize>) -> Vec<&[u8]> {
    at.iter_mut().for_each(|at| *at = (*at).min(body.len()));
    at.extend([0, body.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn complete(append: Vec<u8>) -> End {
    End::Complete { append }
}

fn failed(append: Vec<u8>) -> End {
    End::Failed { append }
}

const CASES: &[Case] = &[
    // The client had not asked for usage: it sees the stream as if nobody had.
    Case {
        operation: Operation::Chat,
        asked: false,
        sent: concat!(
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hé \"usage\":null"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x1"}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
            "\n\n",
            "data: [DONE]\n\n",
        ),
        received: Some(concat!(
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hé \"usage\":null"},"logprobs":null,"finish_reason":null}],"obfuscation":"x1"}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
            "\n\n",
            "data: [DONE]\n\n",
        )),
        usage: [19, 4, 0, 10, 2],
        quality: Quality::Exact,
        content_events: 1,
        end: complete,
    },
    // The client asked: everything stays. Parallel tool calls.
    Case {
        operation: Operation::Chat,
        asked: true,
        sent: concat!(
            r#"data: {"id":"chatcmpl-9","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}],"refusal":null},"finish_reason":null}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Paris\"}"}}]},"finish_reason":null}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"get_time","arguments":"{}"}}]},"finish_reason":null}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-9","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-9","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130}}"#,
            "\n\n",
            "data: [DONE]\n\n",
        ),
        received: None,
        usage: [100, 0, 0, 30, 0],
        quality: Quality::Exact,
        content_events: 3,
        end: complete,
    },
    // A server that sends usage with its last content, unasked; keep-alives; Azure's first event.
    Case {
        operation: Operation::Chat,
        asked: false,
        sent: concat!(
            ": OPENROUTER PROCESSING\n\n",
            r#"data: {"choices":[],"id":"","model":"","prompt_filter_results":[{"prompt_index":0}]}"#,
            "\n\n",
            r#"data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_cache_hit_tokens":2}}"#,
            "\n\n",
            "data: [DONE]\n\n",
        ),
        received: None,
        usage: [7, 2, 0, 3, 0],
        quality: Quality::Exact,
        content_events: 2,
        end: complete,
    },
    // A server that knows no usage.
    Case {
        operation: Operation::Completion,
        asked: false,
        sent: concat!(
            r#"data: {"id":"cmpl-7iA7iJjj8V2zOkCGvWF2hAkWALwai","object":"text_completion","choices":[{"text":"This is","index":0,"logprobs":null,"finish_reason":null}],"model":"gpt-3.5-turbo-instruct"}"#,
            "\n\n",
            r#"data: {"id":"cmpl-7iA7iJjj8V2zOkCGvWF2hAkWALwai","object":"text_completion","choices":[{"text":" a test","index":0,"logprobs":null,"finish_reason":"stop"}],"model":"gpt-3.5-turbo-instruct"}"#,
            "\n\n",
            "data: [DONE]\n\n",
        ),
        received: None,
        usage: [9, 0, 0, 4, 0],
        quality: Quality::Estimated,
        content_events: 2,
        end: complete,
    },
    Case {
        operation: Operation::Responses,
        asked: false,
        sent: concat!(
            "event: response.created\n",
            r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec","status":"in_progress","instructions":"You are a helpful assistant.","tools":[{"name":"f"}],"output":[],"usage":null}}"#,
            "\n\n",
            "event: response.output_item.added\n",
            r#"data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","content":[]}}"#,
            "\n\n",
            "event: response.output_text.delta\n",
            r#"data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","delta":"Hi there!"}"#,
            "\n\n",
            "event: response.output_text.done\n",
            r#"data: {"type":"response.output_text.done","sequence_number":3,"item_id":"msg_1","text":"Hi there!"}"#,
            "\n\n",
            "event: response.completed\n",
            r#"data: {"type":"response.completed","sequence_number":4,"response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec","status":"completed","output":[{"content":[{"type":"output_text","text":"Hi there!"}]}],"usage":{"input_tokens":37,"input_tokens_details":{"cached_tokens":30},"output_tokens":11,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":48}}}"#,
            "\n\n",
        ),
        received: None,
        usage: [37, 30, 0, 11, 5],
        quality: Quality::Exact,
        content_events: 1,
        end: complete,
    },
    Case {
        operation: Operation::Responses,
        asked: false,
        sent: concat!(
            r#"data: {"type":"response.output_text.delta","sequence_number":0,"delta":"Hi"}"#,
            "\n\n",
            r#"data: {"type":"response.failed","sequence_number":1,"response":{"status":"failed","error":{"code":"server_error","message":"x"},"usage":null}}"#,
            "\n\n",
        ),
        received: None,
        usage: [9, 0, 0, 1, 0],
        quality: Quality::Estimated,
        content_events: 1,
        end: failed,
    },
    // Thinking, a tool call, pings.
    Case {
        operation: Operation::Messages,
        asked: false,
        sent: concat!(
            "event: message_start\n",
            r#"data: {"type":"message_start","message":{"id":"msg_014p7gG3wDgGV9EUtLvnow3U","type":"message","role":"assistant","model":"claude-sonnet-4","stop_sequence":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":10,"cache_read_input_tokens":20,"output_tokens":2},"content":[],"stop_reason":null}}"#,
            "\n\n",
            "event: content_block_start\n",
            r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            "\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me solve"}}"#,
            "\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"}}"#,
            "\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: content_block_start\n",
            r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6","name":"get_weather","input":{}}}"#,
            "\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"location\":"}}"#,
            "\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
            "event: message_delta\n",
            r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}"#,
            "\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        received: None,
        usage: [502, 20, 10, 89, 0],
        quality: Quality::Exact,
        content_events: 3,
        end: complete,
    },
    Case {
        operation: Operation::Messages,
        asked: false,
        sent: "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}}\n\n",
        received: None,
        usage: [9, 0, 0, 0, 0],
        quality: Quality::Missing,
        content_events: 0,
        end: failed,
    },
    Case {
        operation: Operation::OllamaChat,
        asked: false,
        sent: concat!(
            r#"{"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":"The","images":null},"done":false}"#,
            "\n",
            r#"{"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":" sky"},"done":false}"#,
            "\n",
            r#"{"model":"llama3.2","created_at":"2023-08-04T19:22:45.499127Z","message":{"role":"assistant","content":""},"done":true,"total_duration":4883583458,"prompt_eval_count":26,"eval_count":282,"eval_duration":4535599000}"#,
            "\n",
        ),
        received: None,
        usage: [26, 0, 0, 282, 0],
        quality: Quality::Exact,
        content_events: 2,
        end: complete,
    },
    Case {
        operation: Operation::OllamaGenerate,
        asked: false,
        sent: concat!(
            r#"{"model":"llama3.2","response":"The","done":false}"#,
            "\n",
            r#"{"error":"model runner has unexpectedly stopped"}"#,
            "\n",
        ),
        received: None,
        usage: [9, 0, 0, 1, 0],
        quality: Quality::Estimated,
        content_events: 1,
        end: failed,
    },
    Case {
        operation: Operation::GeminiStream,
        asked: false,
        sent: concat!(
            r#"data: {"candidates": [{"content": {"parts": [{"text": "\"finishReason\": no", "thought": true}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 4,"totalTokenCount": 4},"modelVersion": "gemini-2.5-flash","responseId": "r1"}"#,
            "\r\n\r\n",
            r#"data: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"finishReason": "STOP"}}}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 4,"candidatesTokenCount": 7,"thoughtsTokenCount": 3}}"#,
            "\r\n\r\n",
            r#"data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 4,"candidatesTokenCount": 9,"thoughtsTokenCount": 3,"totalTokenCount": 16, "cachedContentTokenCount": 2}}"#,
            "\r\n\r\n",
        ),
        received: None,
        usage: [4, 2, 0, 12, 3],
        quality: Quality::Exact,
        content_events: 2,
        end: complete,
    },
    Case {
        operation: Operation::GeminiStream,
        asked: false,
        sent: concat!(
            r#"data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"#,
            "\n\n",
        ),
        received: None,
        usage: [4, 0, 0, 0, 0],
        quality: Quality::Estimated,
        content_events: 0,
        end: complete,
    },
    Case {
        operation: Operation::GeminiStream,
        asked: false,
        sent: concat!(
            r#"data: {"candidates":[{"content":{"parts":[{"text":"four"}],"role":"model"}}]}"#,
            "\n\n",
            r#"data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
            "\n\n",
        ),
        received: None,
        usage: [9, 0, 0, 1, 0],
        quality: Quality::Estimated,
        content_events: 1,
        end: failed,
    },
];
