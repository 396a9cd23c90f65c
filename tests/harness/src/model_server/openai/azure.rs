//! Azure's form of OpenAI's API: deployments in the path, versions in the query, filters for
//! content in the answers, and errors of its own gateway.

use serde_json::{Value, json};

use super::{chat, completions, embeddings};
use crate::model_server::{
    call::{Answer, Call, Fault, Handler},
    frame::{Data, Event},
};

/// By what stands behind the deployment's name.
pub(crate) fn deployment(rest: &[&str]) -> Option<Handler> {
    Some(match rest {
        ["chat", "completions"] => |call| versioned(call).and_then(|()| filtered_chat(call)),
        ["completions"] => |call| versioned(call).and_then(|()| completions::answer(call)),
        ["embeddings"] => |call| versioned(call).and_then(|()| embeddings::answer(call)),
        _ => return None,
    })
}

pub(crate) fn responses(call: &Call) -> Result<Answer, Fault> {
    versioned(call)?;
    super::responses::answer(call)
}

/// A chat as OpenAI answers it, and what the filters found.
pub(crate) fn filtered_chat(call: &Call) -> Result<Answer, Fault> {
    Ok(match chat::answer(call)? {
        Answer::Json(mut answer) => {
            answer["prompt_filter_results"] = prompt_filter_results();
            for choice in answer["choices"].as_array_mut().into_iter().flatten() {
                choice["content_filter_results"] = filter_results();
            }
            Answer::Json(answer)
        }
        Answer::Stream(framing, mut events) => {
            for event in &mut events {
                let Data::Json(chunk) = &mut event.data else { continue };
                for choice in chunk["choices"].as_array_mut().into_iter().flatten() {
                    choice["content_filter_results"] = json!({});
                }
            }
            let first = json!({"choices": [], "created": 0, "id": "", "model": "", "object": "",
                "prompt_filter_results": prompt_filter_results()});
            events.insert(0, Event::new(first));
            Answer::Stream(framing, events)
        }
        other => other,
    })
}

pub(crate) fn headers(call: &Call) -> Vec<(&'static str, String)> {
    vec![
        ("apim-request-id", call.id("")),
        ("x-ms-region", "Sim".to_owned()),
        ("x-ratelimit-remaining-requests", "99".to_owned()),
        ("x-ratelimit-remaining-tokens", "99000".to_owned()),
    ]
}

/// What its gateway refuses has its own shape, what the model refuses has OpenAI's.
pub(crate) fn error(fault: &Fault) -> Value {
    let code = match fault.status {
        400 => return super::error(fault),
        status => fault.code.map_or(status.to_string(), str::to_owned),
    };
    json!({"error": {"code": code, "message": fault.message}})
}

pub(crate) fn unauthorized() -> Fault {
    let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure \
        to provide a valid key for an active subscription and use a correct regional API endpoint \
        for your resource.";
    Fault::new(401, message)
}

pub(crate) fn unknown_deployment() -> Fault {
    let message = "The API deployment for this resource does not exist. If you created the \
        deployment within the last 5 minutes, please wait a moment and try again.";
    Fault::new(404, message).code("DeploymentNotFound")
}

/// `2024-10-21`, `2025-04-01-preview`
fn versioned(call: &Call) -> Result<(), Fault> {
    let version = call.parameter("api-version").unwrap_or_default();
    let date = version.strip_suffix("-preview").unwrap_or(version);
    let parts: Vec<&str> = date.split('-').collect();
    let is_date = parts.iter().map(|part| part.len()).eq([4, 2, 2])
        && parts.concat().bytes().all(|b| b.is_ascii_digit());
    match is_date {
        true => Ok(()),
        false => Err(Fault::new(404, "Resource not found")),
    }
}

fn prompt_filter_results() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": filter_results()}])
}

fn filter_results() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}
