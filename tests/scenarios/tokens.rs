//! Token counts equal what the provider reports: for every protocol, as JSON and as a stream, under
//! every chunking, and however the answer ends. One row a kind of answer; each meets every way to
//! end, at every byte.

use serde_json::json;

use crate::file::{Answer, Attempt, Body, Case, End, File, Header, Request, Step};
use crate::parts::Cut;
use crate::player::Process;
use crate::worker::Worker;

/// An answer of a provider. What the model says in it is written in `z`.
struct Row {
    name: &'static str,
    path: &'static str,
    ask: &'static str,
    /// The provider's `api`, where the provider role translates.
    api: Option<&'static str>,
    kind: &'static str,
    body: &'static str,
    /// The last of what reports the usage: from its end on the count is exact.
    reported: &'static str,
    /// Input, cached input, output, reasoning: what the provider reports.
    usage: [u64; 4],
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "chat", path: "/v1/chat/completions", ask: CHAT, api: None, kind: JSON, reported: "\"reasoning_tokens\":5}}", usage: [11, 4, 7, 5],
        body: r#"{"choices":[{"message":{"content":"zzzzzzzzz"}}],"usage":{"prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}},"x":1}"# },
    Row { name: "chat stream", path: "/v1/chat/completions", ask: CHAT_STREAM, api: None, kind: EVENTS, reported: "\"cached_tokens\":4}}}\n\n", usage: [11, 4, 7, 0],
        body: "data: {\"choices\":[{\"delta\":{\"content\":\"zzzzzzzz\"}}],\"usage\":null}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"zzz\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n" },
    Row { name: "chat stream, CRLF and comments", path: "/v1/chat/completions", ask: CHAT_STREAM, api: None, kind: EVENTS, reported: "\"completion_tokens\":7}}\r\n\r\n", usage: [11, 0, 7, 0],
        body: ": hi\r\n\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"zzzzzzzz\"}}]}\r\n\r\ndata:{\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7}}\r\n\r\ndata:[DONE]\r\n\r\n" },
    Row { name: "completion", path: "/v1/completions", ask: PROMPT, api: None, kind: JSON, reported: "\"completion_tokens\":7}", usage: [11, 0, 7, 0],
        body: r#"{"choices":[{"text":"zzzzz"}],"usage":{"prompt_tokens":11,"completion_tokens":7}}"# },
    Row { name: "completion stream", path: "/v1/completions", ask: PROMPT_STREAM, api: None, kind: EVENTS, reported: "\"completion_tokens\":7}}\n\n", usage: [11, 0, 7, 0],
        body: "data: {\"choices\":[{\"text\":\"zzzzz\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n" },
    Row { name: "embedding", path: "/v1/embeddings", ask: r#"{"model":"m","input":"hi"}"#, api: None, kind: JSON, reported: "\"total_tokens\":11}", usage: [11, 0, 0, 0],
        body: r#"{"data":[{"embedding":[0.1,0.2]}],"usage":{"prompt_tokens":11,"total_tokens":11}}"# },
    Row { name: "responses", path: "/v1/responses", ask: r#"{"model":"m","input":"hi"}"#, api: None, kind: JSON, reported: "\"reasoning_tokens\":5}}", usage: [11, 4, 7, 5],
        body: r#"{"output":[{"content":[{"text":"zzzzzz"}]}],"usage":{"input_tokens":11,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5}}}"# },
    Row { name: "responses stream", path: "/v1/responses", ask: r#"{"model":"m","input":"hi","stream":true}"#, api: None, kind: EVENTS, reported: "\"output_tokens\":7}}}\n\n", usage: [11, 0, 7, 0],
        body: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"zzzzzz\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":11,\"output_tokens\":7}}}\n\n" },
    Row { name: "messages", path: "/v1/messages", ask: CLAUDE, api: None, kind: JSON, reported: "\"output_tokens\":7}", usage: [11, 4, 7, 0],
        body: r#"{"content":[{"type":"text","text":"zzzzzz"}],"usage":{"input_tokens":5,"cache_creation_input_tokens":2,"cache_read_input_tokens":4,"output_tokens":7}}"# },
    Row { name: "messages stream", path: "/v1/messages", ask: CLAUDE_STREAM, api: None, kind: EVENTS, reported: "\"output_tokens\":7}}\n\n", usage: [11, 4, 7, 0],
        body: CLAUDE_EVENTS },
    Row { name: "Ollama chat", path: "/api/chat", ask: r#"{"model":"m","messages":[],"stream":false}"#, api: None, kind: JSON, reported: "\"eval_count\":7}", usage: [11, 0, 7, 0],
        body: r#"{"message":{"content":"zzzzz"},"done":true,"prompt_eval_count":11,"eval_count":7}"# },
    Row { name: "Ollama chat stream", path: "/api/chat", ask: r#"{"model":"m","messages":[]}"#, api: None, kind: LINES, reported: "\"eval_count\":7}\n", usage: [11, 0, 7, 0],
        body: "{\"message\":{\"content\":\"zzzzz\"},\"done\":false}\n{\"message\":{\"content\":\"zz\"},\"done\":false}\n{\"done\":true,\"prompt_eval_count\":11,\"eval_count\":7}\n" },
    Row { name: "Ollama generate", path: "/api/generate", ask: r#"{"model":"m","prompt":"hi","stream":false}"#, api: None, kind: JSON, reported: "\"eval_count\":7}", usage: [11, 0, 7, 0],
        body: r#"{"response":"zzzzz","done":true,"prompt_eval_count":11,"eval_count":7}"# },
    Row { name: "Ollama generate stream", path: "/api/generate", ask: r#"{"model":"m","prompt":"hi"}"#, api: None, kind: LINES, reported: "\"eval_count\":7}\n", usage: [11, 0, 7, 0],
        body: "{\"response\":\"zzzzz\",\"done\":false}\n{\"response\":\"\",\"done\":true,\"prompt_eval_count\":11,\"eval_count\":7}\n" },
    Row { name: "Ollama embed", path: "/api/embed", ask: r#"{"model":"m","input":"hi"}"#, api: None, kind: JSON, reported: "\"prompt_eval_count\":11}", usage: [11, 0, 0, 0],
        body: r#"{"embeddings":[[0.1]],"prompt_eval_count":11}"# },
    Row { name: "Gemini", path: "/v1beta/models/m:generateContent", ask: GEMINI, api: None, kind: JSON, reported: "\"thoughtsTokenCount\":5}", usage: [11, 4, 7, 5],
        body: r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"zzzzzzzzz"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":11,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":5},"x":1}"# },
    Row { name: "Gemini stream", path: "/v1beta/models/m:streamGenerateContent?alt=sse", ask: GEMINI, api: None, kind: EVENTS, reported: "\"candidatesTokenCount\":7}}\n\n", usage: [11, 0, 7, 0],
        body: "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"zzzzzz\"}]}}]}\n\ndata: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"z\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":11,\"candidatesTokenCount\":7}}\n\n" },
    Row { name: "Gemini embed", path: "/v1beta/models/m:embedContent", ask: r#"{"content":{"parts":[{"text":"hi"}]}}"#, api: None, kind: JSON, reported: "\"promptTokenCount\":11}", usage: [11, 0, 0, 0],
        body: r#"{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":11}}"# },
    Row { name: "Gemini at OpenAI", path: "/v1beta/models/m:generateContent", ask: GEMINI, api: Some("openai"), kind: JSON, reported: "}}}", usage: [11, 4, 7, 0],
        body: r#"{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"zzzzzz"}}],"usage":{"prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}}"# },
    Row { name: "Gemini stream at OpenAI", path: "/v1beta/models/m:streamGenerateContent?alt=sse", ask: GEMINI, api: Some("openai"), kind: EVENTS, reported: "[DONE]\n\n", usage: [11, 4, 7, 0],
        body: "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"zzzzzz\"}}]}\n\ndata: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n" },
    Row { name: "chat at Anthropic", path: "/v1/chat/completions", ask: CHAT, api: Some("anthropic"), kind: JSON, reported: "}}", usage: [11, 4, 7, 0],
        body: r#"{"type":"message","id":"x","role":"assistant","model":"m","stop_reason":"end_turn","content":[{"type":"text","text":"zzzzzz"}],"usage":{"input_tokens":5,"cache_creation_input_tokens":2,"cache_read_input_tokens":4,"output_tokens":7}}"# },
    Row { name: "chat stream at Anthropic", path: "/v1/chat/completions", ask: CHAT_STREAM, api: Some("anthropic"), kind: EVENTS, reported: "\"message_stop\"}\n\n", usage: [11, 4, 7, 0],
        body: CLAUDE_EVENTS },
    Row { name: "messages at OpenAI", path: "/v1/messages", ask: CLAUDE, api: Some("openai"), kind: JSON, reported: "}}}", usage: [11, 4, 7, 0],
        body: r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"zzzzzz"}}],"usage":{"prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}}"# },
    Row { name: "messages stream at OpenAI", path: "/v1/messages", ask: CLAUDE_STREAM, api: Some("openai"), kind: EVENTS, reported: "[DONE]\n\n", usage: [11, 4, 7, 0],
        body: "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"zzzzzz\"}}]}\n\ndata: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n" },
];

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const CHAT_STREAM: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const PROMPT: &str = r#"{"model":"m","prompt":"hi"}"#;
const PROMPT_STREAM: &str = r#"{"model":"m","prompt":"hi","stream":true}"#;
const GEMINI: &str = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
const CLAUDE: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
const CLAUDE_STREAM: &str =
    r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const CLAUDE_EVENTS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":2,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"zzzzzzz\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[test]
fn a_whole_answer_is_counted_as_reported_under_every_chunking() {
    for row in ROWS {
        let cuts = (1..row.body.len()).map(|at| chunks(row.body, &[at]));
        let each_byte = row.body.as_bytes().chunks(1).map(text).collect();
        let mut trial = Trial::new(row);
        for body in cuts.chain([vec![Body::Text(row.body.to_owned())], each_byte]) {
            let found = trial.play(vec![answer(row, 200, body, false)], None);
            found.expect(row, row.usage, "exact", "whole");
        }
    }
}

#[test]
fn what_a_provider_did_not_say_to_the_end_is_counted_as_far_as_it_came() {
    let ends: [(&str, Option<&str>); 3] = [
        ("aborted", Some("downstream_remote_disconnect")),
        ("reset", Some("upstream_reset_after_response_started{remote_reset}")),
        ("cut", None),
    ];
    for row in ROWS {
        let told = row.body.rfind(row.reported).expect(row.name) + row.reported.len();
        // A document is translated when its end has come.
        let document = row.api.is_some() && row.kind == JSON;
        let mut trial = Trial::new(row);
        for (name, details) in ends {
            for at in 1..=row.body.len() {
                let part = vec![Body::Text(row.body[..at].to_owned())];
                let found = trial.play(vec![answer(row, 200, part, details.is_some())], details);
                let what = format!("{name} after {at} bytes");
                let must_be_exact = at >= told && !(document && details.is_some());
                if must_be_exact || found.quality == "exact" {
                    found.expect(row, row.usage, "exact", &what);
                } else {
                    found.expect_estimate(row, &row.body[..at], &what);
                }
            }
        }
    }
}

#[test]
fn an_error_is_counted_as_nothing() {
    for row in ROWS {
        let mut trial = Trial::new(row);
        for status in [400, 401, 429, 500, 503] {
            let body = vec![Body::Text(r#"{"error":{"message":"no"}}"#.to_owned())];
            let found = trial.play(vec![answer(row, status, body, false)], None);
            found.expect(row, [0; 4], "", &format!("status {status}"));
        }
    }
}

#[test]
fn after_a_failed_attempt_the_answer_is_counted_once() {
    for row in ROWS {
        let mut trial = Trial::new(row);
        let body = vec![Body::Text(row.body.to_owned())];
        let failed = vec![Body::Text(r#"{"error":{"message":"no"}}"#.to_owned())];
        let answers = vec![answer(row, 503, failed, false), answer(row, 200, body, false)];
        trial.play(answers, None).expect(row, row.usage, "exact", "failed over");
    }
}

/// Requests to one gateway that limits its tokens.
struct Trial<'a> {
    row: &'a Row,
    process: Process,
    /// What was counted of the requests before.
    before: [u64; 4],
}

/// What was counted of one request.
struct Counted {
    usage: [u64; 4],
    quality: String,
}

impl Drop for Trial<'_> {
    /// In the end the limiter has charged what was counted, no more and no less.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let charged = charged(self.process.worker(0).unwrap());
            assert_eq!(charged, self.before[0] + self.before[2], "{}: charged", self.row.name);
        }
    }
}

impl<'a> Trial<'a> {
    fn new(row: &'a Row) -> Self {
        let own = match row.path {
            "/v1/messages" => "anthropic",
            path if path.starts_with("/api/") => "ollama",
            path if path.starts_with("/v1beta/") => "gemini",
            _ => "openai",
        };
        let cluster = |name: &str| {
            (name.to_owned(), json!({"provider": name, "api": row.api.unwrap_or(own)}))
        };
        let file = File {
            gateway: serde_json::from_value(json!({
                "providers": {"p": {"models": ["m"]}, "q": {"models": ["m"], "priority": 1}},
                "limits": [{"name": "l", "key": [], "tokens": LIMIT, "window": "1h"}],
            }))
            .unwrap(),
            clusters: ["p", "q"].map(cluster).into(),
            env: [].into(),
            cases: Vec::new(),
        };
        let name = row.name.to_owned();
        let case = Case { name, gateway: [].into(), clusters: [].into(), steps: Vec::new() };
        Self { row, process: Process::new(&file, &case).unwrap(), before: [0; 4] }
    }

    fn play(&mut self, answers: Vec<Answer>, end: Option<&str>) -> Counted {
        let clusters = ["p", "q"].into_iter();
        let attempts = answers.into_iter().zip(clusters).map(|(answer, cluster)| Attempt {
            cluster: cluster.to_owned(),
            sees: Default::default(),
            calls: None,
            answer: Some(answer),
        });
        let step = Step {
            request: Some(Request {
                post: Some(self.row.path.to_owned()),
                body: Some(Body::Text(self.row.ask.to_owned())),
                ..Request::default()
            }),
            attempts: attempts.collect(),
            end: Some(end.map_or(End::Plain(true), |details| End::Details(details.to_owned()))),
            ..Step::default()
        };
        let worker = self.process.worker(0).unwrap();
        let name = self.row.name;
        worker.step(&step, Cut::AsWritten).unwrap_or_else(|why| panic!("{name}: {why}"));
        let found = Counted::new(worker, self.before);
        self.before.iter_mut().zip(found.usage).for_each(|(all, one)| *all += one);
        found
    }
}

impl Counted {
    fn new(worker: &Worker, before: [u64; 4]) -> Self {
        let state = |name: &str| {
            let value = worker.host.filter_state(name).unwrap_or_default();
            String::from_utf8(value).unwrap()
        };
        let count = |kind: &str| -> u64 {
            let of = |provider: &str| {
                let name = format!("llm_tokens_total.provider={provider};model=m;type={kind}");
                crate::expect::count(&worker.host, &name)
            };
            of("p") + of("q")
        };
        let mut usage = ["input", "cached_input", "output", "reasoning"].map(count);
        usage.iter_mut().zip(before).for_each(|(all, before)| *all -= before);
        let number = |name: &str| state(name).parse().unwrap_or(0);
        assert_eq!((number("llm_input_tokens"), number("llm_output_tokens")), (usage[0], usage[2]));
        Self { usage, quality: state("llm_usage_quality") }
    }

    fn expect(&self, row: &Row, usage: [u64; 4], quality: &str, what: &str) {
        let name = row.name;
        assert_eq!((self.usage, &*self.quality), (usage, quality), "{name}, {what}");
    }

    /// Not reported in full: what was said by then is estimated, and what was reported is kept.
    fn expect_estimate(&self, row: &Row, sent: &str, what: &str) {
        let Row { name, usage, ask, kind, .. } = row;
        let [input, _, output, _] = self.usage;
        let said = match *kind {
            JSON => sent,
            EVENTS => sent.rfind("\n\n").or(sent.rfind("\r\n\r\n")).map_or("", |at| &sent[..at]),
            _ => sent.rfind('\n').map_or("", |at| &sent[..at]),
        };
        let [said, most] = [said, sent].map(|text| text.matches('z').count() as u64);
        let estimate = (ask.len() as u64).div_ceil(4);
        if (said == 0 || row.api.is_some()) && self.quality.is_empty() {
            // The provider role made an error of it, since another attempt could have taken over or
            // it could not be translated.
            assert_eq!(self.usage, [0; 4], "{name}, {what}");
            return;
        }
        assert!(self.quality == "estimated" || self.quality == "missing", "{name}, {what}");
        assert!(input == estimate || input == usage[0], "{name}, {what}: input {input}");
        let most = most.div_ceil(4).max(1);
        // Where nothing can be seen, all that was taken is charged.
        let taken = match ask {
            ask if ask.contains("max_tokens") => 9,
            _ => 1024,
        };
        let known = output == usage[2] || output == taken;
        assert!(output <= most || known, "{name}, {what}: {output} > {most}");
        assert!(said == 0 || row.api.is_some() || output > 0, "{name}, {what}: nothing");
    }
}

/// What the limiter says it has charged, asked by one more request of which nothing stays.
fn charged(worker: &mut Worker) -> u64 {
    let asked = Step {
        request: Some(Request {
            post: Some("/v1/moderations".to_owned()),
            body: Some(Body::Text(r#"{"model":"m"}"#.to_owned())),
            ..Request::default()
        }),
        answer: Some(Answer { status: Some(400), ..Answer::default() }),
        end: Some(End::Plain(true)),
        ..Step::default()
    };
    worker.step(&asked, Cut::AsWritten).unwrap();
    let headers = worker.stream.as_ref().unwrap().got.headers.as_ref().unwrap();
    let remaining = crate::stream::find(headers, "x-ratelimit-remaining-tokens").unwrap();
    LIMIT - remaining.parse::<u64>().unwrap() - r#"{"model":"m"}"#.len().div_ceil(4) as u64
}

fn answer(row: &Row, status: u16, chunks: Vec<Body>, open: bool) -> Answer {
    let kind = if status == 200 { row.kind } else { JSON };
    Answer {
        status: Some(status),
        headers: [("content-type".to_owned(), Header::One(kind.to_owned()))].into(),
        chunks: Some(chunks),
        open,
        ..Answer::default()
    }
}

fn chunks(body: &str, at: &[usize]) -> Vec<Body> {
    let ends = at.iter().copied().chain([body.len()]);
    let starts = [0].into_iter().chain(at.iter().copied());
    starts.zip(ends).map(|(from, to)| Body::Text(body[from..to].to_owned())).collect()
}

fn text(bytes: &[u8]) -> Body {
    Body::Text(String::from_utf8(bytes.to_vec()).unwrap())
}

const LIMIT: u64 = 1_000_000_000;
