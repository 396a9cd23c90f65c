use Quality::{Estimated, Exact, Missing};

use super::*;

#[test]
fn every_protocol_is_read_under_every_chunking() {
    for (operation, body, expected) in ANSWERS {
        let [input, cached_input, cache_write, output, reasoning] = **expected;
        let usage = Usage { input, cached_input, cache_write, output, reasoning };
        let body = body.as_bytes();
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
        for step in 1..=body.len() {
            assert_eq!(read(*operation, body.chunks(step)), (usage, Exact), "{operation:?}");
        }
        for at in 0..body.len() {
            assert_eq!(
                read(*operation, [&body[..at], &body[at..]]),
                (usage, Exact),
                "{operation:?} cut at {at}"
            );
        }
    }
}

#[test]
fn an_answer_without_usage_is_estimated_from_its_text() {
    let body = br#"{"id":"x","choices":[{"message":{"role":"assistant","content":"twelve bytes"}}],"usage":null}"#;
    let usage = Usage { input: 9, output: 3, ..Usage::default() };
    assert_eq!(read(Operation::Chat, [&body[..]]), (usage, Estimated));
    // Cut off in the text, as after an abort.
    assert_eq!(read(Operation::Chat, [&body[..70]]).1, Estimated);
}

#[test]
fn a_number_that_was_cut_off_is_none() {
    let body = br#"{"response":"four","prompt_eval_count":26,"eval_count":29"#;
    let usage = Usage { input: 26, output: 1, ..Usage::default() };
    assert_eq!(read(Operation::OllamaGenerate, [&body[..]]), (usage, Estimated));
    let whole = [&body[..], b"8}"].concat();
    assert_eq!(read(Operation::OllamaGenerate, [&whole[..]]).0.output, 298);
}

#[test]
fn an_answer_with_nothing_in_it_has_no_usage() {
    let usage = Usage { input: 9, ..Usage::default() };
    assert_eq!(read(Operation::Chat, [&b"{}"[..]]), (usage, Missing));
    let vectors = br#"{"data":[{"embedding":[0.1,0.2]}]}"#;
    assert_eq!(read(Operation::Embedding, [&vectors[..]]), (usage, Estimated));
}

#[test]
fn counts_may_be_null_or_written_with_a_point() {
    let read = |json: &str| {
        Report::read(json.as_bytes()).map(|report| report.usage(Operation::Chat, 0, 0).0)
    };
    let usage = Usage { input: 12, output: 3, ..Usage::default() };
    assert_eq!(
        read(
            r#"{"prompt_tokens":12.0,"completion_tokens":3,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}"#
        ),
        Some(usage)
    );
    for none in ["null", "{}", "[]", "3", r#"{"prompt_tokens":null}"#] {
        assert_eq!(read(none), None, "{none}");
    }
}

#[test]
fn reasoning_that_a_server_counts_apart_is_output() {
    let apart = br#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}"#;
    let (usage, _) = Report::read(apart).unwrap().usage(Operation::Chat, 0, 0);
    assert_eq!((usage.output, usage.reasoning), (25, 20));
}

#[test]
fn a_count_of_nothing_is_no_count_where_something_was_said() {
    let usage = |body: &str, text| {
        let report = Report::read(body.as_bytes()).unwrap();
        let (usage, quality) = report.usage(Operation::Messages, text, 9);
        (usage.input, usage.output, quality)
    };
    let zero = r#"{"input_tokens":0,"output_tokens":0}"#;
    assert_eq!(usage(zero, 8), (9, 2, Estimated));
    // Nobody asks nothing, so this is what a server says that does not count.
    assert_eq!(usage(zero, 0), (9, 0, Missing));
    let cached = r#"{"input_tokens":0,"cache_read_input_tokens":5,"output_tokens":1}"#;
    assert_eq!(usage(cached, 8), (5, 1, Exact));
}

#[test]
fn a_prompt_that_ollama_does_not_count_is_estimated() {
    let body = br#"{"response":"Hi","done":true,"eval_count":290}"#;
    let usage = Usage { input: 9, output: 290, ..Usage::default() };
    assert_eq!(read(Operation::OllamaGenerate, [&body[..]]), (usage, Estimated));
}

/// Each of these is a report with one thing in it that cannot be, so nothing in it is believed.
#[test]
fn a_report_that_cannot_be_true_counts_as_none() {
    let digits = "9".repeat(300);
    let numbers = [
        "9223372036854775808",
        "1000000001",
        "1e30",
        "1e999",
        digits.as_str(),
        "-1",
        "1.5",
        r#""12""#,
        "[]",
        "{}",
        "true",
    ];
    let with = |usage: String| {
        let body = format!(
            r#"{{"choices":[{{"message":{{"content":"twelve bytes"}}}}],"usage":{usage}}}"#
        );
        read(Operation::Chat, [body.as_bytes()])
    };
    let estimated = (Usage { input: 9, output: 3, ..Usage::default() }, Estimated);
    for number in numbers {
        for report in [
            format!(r#"{{"prompt_tokens":{number},"completion_tokens":7}}"#),
            format!(r#"{{"prompt_tokens":7,"completion_tokens":{number}}}"#),
            format!(r#"{{"prompt_tokens":7,"completion_tokens":7,"total_tokens":{number}}}"#),
            format!(
                r#"{{"prompt_tokens":7,"completion_tokens":7,"prompt_tokens_details":{{"cached_tokens":{number}}}}}"#
            ),
            format!(
                r#"{{"prompt_tokens":7,"completion_tokens":7,"completion_tokens_details":{{"reasoning_tokens":{number}}}}}"#
            ),
        ] {
            assert_eq!(with(report.clone()), estimated, "{report}");
        }
    }
    for report in [
        r#"{"prompt_tokens":3,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":1000000000}}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"prompt_cache_hit_tokens":4}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":2}}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":8}}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"total_tokens":9}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"total_tokens":0}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"total_tokens":900000000}"#,
        r#"{"prompt_tokens":3,"prompt_tokens":4,"completion_tokens":7}"#,
        r#"{"prompt_tokens":3,"completion_tokens":7,"prompt_tokens_details":5}"#,
    ] {
        assert_eq!(with(report.to_owned()), estimated, "{report}");
    }
}

#[test]
fn every_protocol_is_doubted() {
    #[rustfmt::skip]
    let bodies = [
        (Operation::Completion, r#"{"choices":[{"text":"four"}],"usage":{"prompt_tokens":1e30,"completion_tokens":1}}"#, 1),
        (Operation::Responses, r#"{"output":[{"content":[{"text":"four"}]}],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":4},"output_tokens":1}}"#, 1),
        (Operation::Messages, r#"{"content":[{"type":"text","text":"four"}],"usage":{"input_tokens":3,"cache_read_input_tokens":1000000001,"output_tokens":1}}"#, 1),
        (Operation::Messages, r#"{"content":[{"type":"text","text":"four"}],"usage":{"input_tokens":900000000,"cache_read_input_tokens":900000000,"output_tokens":1}}"#, 1),
        (Operation::OllamaChat, r#"{"message":{"content":"four"},"done":true,"prompt_eval_count":9223372036854775808,"eval_count":1}"#, 1),
        (Operation::OllamaChat, r#"{"message":{"content":"four"},"done":true,"prompt_eval_count":1,"eval_count":-1}"#, 1),
        (Operation::GeminiGenerate, r#"{"candidates":[{"content":{"parts":[{"text":"four"}]}}],"usageMetadata":{"promptTokenCount":3,"cachedContentTokenCount":1000000000,"candidatesTokenCount":1}}"#, 1),
        (Operation::GeminiGenerate, r#"{"candidates":[{"content":{"parts":[{"text":"four"}]}}],"usageMetadata":{"promptTokenCount":30,"candidatesTokenCount":20,"totalTokenCount":40}}"#, 1),
        (Operation::Embedding, r#"{"data":[],"usage":{"prompt_tokens":-5,"total_tokens":5}}"#, 0),
        (Operation::OllamaEmbed, r#"{"embeddings":[],"prompt_eval_count":1e12}"#, 0),
        (Operation::GeminiEmbed, r#"{"embedding":{},"usageMetadata":{"promptTokenCount":0.5}}"#, 0),
    ];
    for (operation, body, output) in bodies {
        let usage = Usage { input: 9, output, ..Usage::default() };
        assert_eq!(read(operation, [body.as_bytes()]), (usage, Estimated), "{body}");
    }
}

#[test]
fn a_total_above_its_parts_is_charged_and_marked() {
    let usage = |operation, body: &str| {
        let (usage, quality) = read(operation, [body.as_bytes()]);
        (usage.input, usage.output, quality)
    };
    // Gemini by its OpenAI endpoint: thinking is in the total only.
    let untold = r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35}}"#;
    assert_eq!(usage(Operation::Chat, untold), (10, 25, Estimated));
    let native = r#"{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":35}}"#;
    assert_eq!(usage(Operation::GeminiGenerate, native), (10, 25, Estimated));
    // Reranking and some embeddings tell nothing else.
    let total = r#"{"usage":{"total_tokens":26}}"#;
    assert_eq!(usage(Operation::Embedding, total), (26, 0, Exact));
    assert_eq!(usage(Operation::Other, total), (26, 0, Exact));
    let gemini = r#"{"usageMetadata":{"promptTokenCount":26,"totalTokenCount":26}}"#;
    assert_eq!(usage(Operation::Other, gemini), (26, 0, Exact));
    let sound = r#"{"usage":{"type":"duration","seconds":27}}"#;
    assert_eq!(usage(Operation::Other, sound), (9, 0, Missing));
}

#[test]
fn events_of_calls_that_are_not_known_are_read_for_their_usage() {
    let image = "x".repeat(5000);
    let body = format!(
        "event: image_generation.partial_image\ndata: {{\"type\":\"p\",\"b64_json\":\"{image}\"}}\n\n\
         event: image_generation.completed\ndata: {{\"b64_json\":\"{image}\",\"usage\":{{\"input_tokens\":5,\"output_tokens\":100,\"total_tokens\":105}}}}\n\n"
    );
    let said = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"four\"}\n\ndata: {\"delta\":\"five5\"}\n\n";
    for step in [1, 2, 3, 7, 100, 20_000] {
        let usage = |body: &str| {
            let mut meter = Meter::of_events(Operation::Other);
            body.as_bytes().chunks(step).for_each(|chunk| meter.chunk(chunk));
            let (usage, quality) = meter.usage(9);
            (usage.input, usage.output, quality)
        };
        assert_eq!(usage(&body), (5, 100, Exact), "{step}");
        assert_eq!(usage(said), (9, 3, Estimated), "{step}");
        assert_eq!(usage("data: [DONE]\n\n"), (9, 0, Missing), "{step}");
    }
}

#[test]
fn an_estimate_says_that_it_is_one() {
    let usage = br#"{"prompt_tokens":5,"total_tokens":5,"estimated":true}"#;
    let (usage, quality) = Report::read(usage).unwrap().usage(Operation::Embedding, 0, 9);
    assert_eq!((usage.input, usage.output, quality), (5, 0, Estimated));
}

#[test]
fn a_usage_object_beyond_the_cap_is_not_read() {
    let pad = " ".repeat(MAX_USAGE);
    let body = format!(r#"{{"usage":{{"prompt_tokens":1,{pad}"completion_tokens":1}}}}"#);
    assert_eq!(read(Operation::Chat, [body.as_bytes()]).1, Missing);
}

/// Input, cached, cache write, output, reasoning.
#[rustfmt::skip]
const ANSWERS: &[(Operation, &str, &[u64; 5])] = &[
    (Operation::Chat, r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion","created":1741570283,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"\"usage\":{\"prompt_tokens\":1}","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1117,"completion_tokens":46,"total_tokens":1163,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":12,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_fc9f1d7035"}"#, &[1117, 1024, 0, 46, 12]),
    (Operation::Completion, r#"{"id":"cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7","object":"text_completion","choices":[{"text":"\n\nThis is indeed a test","index":0}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#, &[5, 0, 0, 7, 0]),
    (Operation::Embedding, r#"{"object":"list","data":[{"object":"embedding","embedding":[0.0023064255,-0.009327292],"index":0}],"model":"text-embedding-ada-002","usage":{"prompt_tokens":8,"total_tokens":8}}"#, &[8, 0, 0, 0, 0]),
    (Operation::Responses, r#"{"id":"resp_67ccd2bed1ec8190","object":"response","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"In a peaceful grove","annotations":[]}]}],"text":{"format":{"type":"text"}},"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":20},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123},"user":null}"#, &[36, 20, 0, 87, 64]),
    (Operation::Messages, r#"{"id":"msg_013Zva2CMHLNnXjNJJKqJ2EF","type":"message","role":"assistant","content":[{"type":"text","text":"Hi!"},{"type":"tool_use","id":"toolu_01","name":"f","input":{"usage":{"input_tokens":1}}}],"stop_reason":"end_turn","usage":{"input_tokens":95,"cache_creation_input_tokens":200,"cache_read_input_tokens":1000,"output_tokens":503,"service_tier":"standard","cache_creation":{"ephemeral_5m_input_tokens":200}}}"#, &[1295, 1000, 200, 503, 0]),
    (Operation::OllamaChat, r#"{"model":"llama3.2","created_at":"2023-12-12T14:13:43.416799Z","message":{"role":"assistant","content":"Hello!"},"done":true,"total_duration":5191566416,"prompt_eval_count":26,"prompt_eval_duration":383809000,"eval_count":298,"eval_duration":4799921000}"#, &[26, 0, 0, 298, 0]),
    (Operation::OllamaGenerate, r#"{"response":"Hi","done":true,"context":[1,2,3],"prompt_eval_count":7,"eval_count":290}"#, &[7, 0, 0, 290, 0]),
    (Operation::GeminiGenerate, r#"{"candidates":[{"content":{"parts":[{"text":"\"usageMetadata\":{}"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":264,"cachedContentTokenCount":200,"candidatesTokenCount":80,"toolUsePromptTokenCount":6,"totalTokenCount":450,"promptTokensDetails":[{"modality":"TEXT","tokenCount":264}],"thoughtsTokenCount":100},"modelVersion":"gemini-2.5-flash","responseId":"x"}"#, &[270, 200, 0, 180, 100]),
    (Operation::GeminiBatchEmbed, r#"{"embeddings":[{"values":[0.01,-0.001]}],"usageMetadata":{"promptTokenCount":8}}"#, &[8, 0, 0, 0, 0]),
    (Operation::OllamaEmbed, r#"{"model":"all-minilm","embeddings":[[0.01,-0.001]],"total_duration":14143917,"prompt_eval_count":8}"#, &[8, 0, 0, 0, 0]),
];

fn read<'a>(operation: Operation, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Usage, Quality) {
    let mut meter = Meter::new(operation);
    chunks.into_iter().for_each(|chunk| meter.chunk(chunk));
    meter.usage(9)
}
