//! What it costs to answer in another protocol than the provider's: OpenAI's chat completions at a
//! server that speaks Anthropic's messages, against the same at one that speaks OpenAI's. Both go
//! through both roles of the gateway.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use llm_gateway::translate::{Call, Context, Pair};
use serde_json::json;

use super::cases;
use super::compare::{self, Effort};
use super::load::{Body, Expect, Load};
use super::report::Report;
use super::streams;
use super::subject::Subject;
use super::upstream::{ANTHROPIC, MODEL, Order, Pace, Shared};

pub(super) async fn run(
    upstream: SocketAddr,
    effort: Effort,
    shared: &Arc<Shared>,
    report: &mut Report,
) -> Result<()> {
    let running = compare::start(&subjects(), upstream)?;
    let small = translated(cases::chat(300))?;
    let chats = compare::pairs(&running, |subject| load(subject, &cases::chat(300), &small));
    let all = compare::measure_each(&chats, effort, shared).await?;
    compare::print("Chats of 300 B, passed through and translated", &all);

    let stream = cases::stream(streams::EVENTS, Pace::Lockstep, PARALLEL);
    let other = translated(stream.clone())?;
    let streamed = |subject: &Subject| load(subject, &stream, &other);
    let events = streams::measure(&running, streamed, effort, shared).await?;
    println!("\nStreams of {} events, the same; {PARALLEL} parallel", streams::EVENTS);
    streams::print(&running, &events);

    report.add(
        "translate",
        json!({
            "chat_300b": compare::to_json(&all),
            "streams": streams::to_json(&running, &events),
        }),
    );
    Ok(())
}

/// What the others are compared to first.
fn subjects() -> [Subject; 2] {
    [Subject::provider("passed through", "openai"), Subject::provider("translated", "anthropic")]
}

fn load(subject: &Subject, passed: &Load, translated: &Load) -> Load {
    if subject.api == Some("anthropic") { translated.clone() } else { passed.clone() }
}

/// The load whose answers have been translated: as long as the translator makes them here.
fn translated(load: Load) -> Result<Load> {
    let Body::Same(request) = &load.body else { anyhow::bail!("the requests differ") };
    let mut context = Context::default();
    context.model = MODEL.into();
    context.upstream_model = MODEL.into();
    // As many digits as now.
    context.created = 1_760_000_000;
    let mut call = Call::new(Pair::OpenAiToAnthropic, context);
    call.request(request).context("the request of the bench")?;
    let (kind, body) = match load.order {
        Order::Document | Order::Sized(_) => ("application/json", ANTHROPIC.document.to_owned()),
        Order::Stream { events, .. } => ("text/event-stream", ANTHROPIC.stream(events)),
    };
    let mut answer = call.answer(200, kind.as_bytes());
    let mut out = Vec::new();
    if answer.is_stream() {
        answer.chunk(body.as_bytes(), &mut out);
        answer.end(&mut out);
    } else {
        out = answer.whole(body.as_bytes()).context("the answer of the bench")?;
    }
    Ok(Load { expect: Expect::Length(out.len()), ..load })
}

const PARALLEL: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_upstream_says_can_be_translated() {
        for load in [cases::chat(300), cases::stream(20, Pace::Free, 1)] {
            let Expect::Length(length) = translated(load).unwrap().expect else {
                panic!("no length");
            };
            assert!(length > 300);
        }
    }

    #[test]
    fn both_subjects_are_configured_in_both_roles() {
        for subject in subjects() {
            let role = json!({"provider": "local", "api": subject.api}).to_string();
            let read = llm_gateway::config::Provider::from_bytes(role.as_bytes(), &|_| None);
            assert!(read.is_ok(), "{}: {:?}", subject.name, read.err());
        }
    }
}
