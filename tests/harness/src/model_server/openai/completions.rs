//! `POST /v1/completions`.

use serde_json::{Value, json};

use super::{FINGERPRINT, finish, missing, need_model, stop, usage};
use crate::model_server::{
    answer::{Prompt, Reply},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let mut prompt =
        Prompt { max_tokens: call.u64("max_tokens"), stop: stop(call), ..Prompt::default() };
    prompt.last = match call.json.get("prompt") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            list.first().and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        _ => return Err(missing("prompt")),
    };
    prompt.input.text(&prompt.last);
    let reply = Reply::new(&prompt, &call.controls, 0);
    let reports_usage = !call.controls.no_usage;

    let id = call.id("cmpl-");
    let object = |choices: Value| {
        json!({"id": id, "object": "text_completion", "created": call.created,
            "model": call.model, "system_fingerprint": FINGERPRINT, "choices": choices})
    };
    let choice = |text: &str, finish: Option<&str>| json!([{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}]);
    if call.flag("stream") != Some(true) {
        let mut answer = object(choice(&reply.text(), Some(finish(&reply.finish))));
        if reports_usage {
            answer["usage"] = usage(&reply.usage);
        }
        return Ok(Answer::Json(answer));
    }

    let with_usage =
        reports_usage && call.json.pointer("/stream_options/include_usage") == Some(&json!(true));
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = object(choices);
        if with_usage {
            chunk["usage"] = usage;
        }
        Event::new(chunk)
    };
    let tokens = reply.tokens.iter().map(|token| chunk(choice(token, None), Value::Null).token());
    let mut events: Vec<Event> = tokens.collect();
    events.push(chunk(choice("", Some(finish(&reply.finish))), Value::Null));
    if with_usage {
        events.push(chunk(json!([]), usage(&reply.usage)));
    }
    events.push(Event::text("[DONE]"));
    Ok(Answer::Stream(Framing::Sse, events))
}
