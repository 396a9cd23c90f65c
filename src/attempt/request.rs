//! Makes the request this provider's own.

use super::original::Original;
use super::way::Way;
use super::{Change, INTERNAL, Reading, Service, State, Translating, Waiting, path, tell, write};
use crate::closed;
use crate::config::{Api, Provider};
use crate::error::{Error, Kind};
use crate::handoff::{self, Left};
use crate::held::overloaded;
use crate::host::{Buffer, Decimal, Flow, Host, Map, Pairs, Status};
use crate::identity::CREDENTIAL_HEADERS;
use crate::protocol::edit::Edits;
use crate::protocol::hygiene::{FOREIGN_CREDENTIALS, is_common, is_private};
use crate::protocol::probe::Source;
use crate::protocol::{Dialect, Endpoint, Operation, Path};
use crate::translate::{Call, Clock, Context, repair};

/// The headers came.
pub(super) fn headers(service: &Service, end: bool, host: &impl Host) -> (State, Flow) {
    let left = Left::read(host);
    let headers = match host.headers(Map::RequestHeaders) {
        Ok(headers) => headers,
        Err(status) => {
            tell(Err(status), "request headers", host);
            return (State::Refused, closed::request(host));
        }
    };
    let mut original = match &left {
        Some(_) => Original::read_or_note(&headers, host),
        None => Original::default(),
    };
    // The gateway role has written it as it is read here.
    let asked = original.value(&headers, ":path").unwrap_or_default().to_vec();
    let asked = Path::read(&asked);
    let operation = match Endpoint::of(headers.get(":method").unwrap_or_default(), &asked) {
        Endpoint::Call(operation) => operation,
        _ => Operation::Other,
    };
    let attempts = left.as_ref().map_or(0, |left| left.steps().count());
    let then = Waiting {
        operation,
        request_id: headers.text("x-request-id").unwrap_or_default().into(),
        call: None,
        left: attempts,
        is_ours: service.provider.credential.is_some(),
        doubts_refusals: operation.dialect() == Dialect::Gemini
            && service.provider.api == Api::Gemini
            && (attempts > 1 || service.provider.credential.is_some()),
        warnings: Vec::new(),
    };
    let step = left.as_ref().and_then(|left| left.steps().next());
    let way = Way::at(operation, &service.provider);
    let source = Source::of(&asked, headers.all("content-type"));
    let model = step.map(|step| step.model);
    let path = match &way {
        Way::AsItIs => {
            let ours = || upstream_model(model, host);
            path::of(&service.provider, operation, &asked, model, ours).map(Some)
        }
        // A translation writes its own.
        Way::Translated(_) | Way::Unknown => Ok(None),
    };
    let ours = path.as_ref().ok().and_then(Option::as_deref);
    // A translation notes more of them before they are saved.
    let is_translated = matches!(way, Way::Translated(_)) && !end;
    let made = make(&service.provider, &headers, &mut original, left.as_ref(), ours, host);
    let made = made.and_then(|()| match left {
        Some(_) if !is_translated => original.save(host),
        _ => Ok(()),
    });
    if let Err(status) = made {
        // Half made, it could hold what is for another provider.
        tell(Err(status), "request headers", host);
        return then.refuse(&lost(), host);
    }
    if let Err(refusal) = path {
        return then.refuse(&refusal, host);
    }
    let repairs = operation == Operation::Messages && service.provider.api == Api::Anthropic;
    let change = match (way, step) {
        (Way::Unknown, _) => return then.refuse(&path::unknown(), host),
        _ if end => return (then.next(), Flow::Continue),
        (Way::Translated(route), _) => {
            let context = Context {
                stream: operation == Operation::GeminiStream,
                ..context(model, &then.request_id, host)
            };
            let call = Call::new(route, context);
            Change::Translate(Box::new(Translating { call, headers, original }))
        }
        (Way::AsItIs, None) if !repairs => return (then.next(), Flow::Continue),
        (Way::AsItIs, step) => {
            Change::Edit { model: step.map(|step| step.model.into()), source, repairs }
        }
    };
    (State::Reading(Box::new(Reading { change, then, bytes: 0 })), Flow::Pause)
}

/// A part of the body came, or all of it.
pub(super) fn part(
    mut reading: Box<Reading>,
    size: usize,
    end: bool,
    service: &Service,
    host: &impl Host,
) -> (State, Flow) {
    let ledger = &service.ledger;
    let more = size.saturating_sub(reading.bytes);
    if !ledger.has_room(more) || (end && !ledger.can_work_on(size)) {
        return reading.then.refuse(&overloaded(), host);
    }
    reading.bytes = size;
    if end { body(*reading, service, host) } else { (State::Reading(reading), Flow::Pause) }
}

/// The body came whole.
fn body(reading: Reading, service: &Service, host: &impl Host) -> (State, Flow) {
    let Reading { change, mut then, .. } = reading;
    let changed = host.body(Buffer::RequestBody, 0, usize::MAX).and_then(|body| match change {
        Change::Edit { model, source, repairs } => {
            let renamed = model.and_then(|model| rename(&body, &model, &source, then.operation));
            let body = renamed.as_deref().unwrap_or(&body);
            let repaired = if repairs { repair::messages(body) } else { None };
            match repaired.or(renamed) {
                Some(edited) => replace(&edited, host).map(Ok),
                None => Ok(Ok(())),
            }
        }
        Change::Translate(translating) => translate(&body, *translating, &mut then, service, host),
    });
    match changed {
        Ok(Ok(())) => (then.next(), Flow::Continue),
        Ok(Err(refusal)) => then.refuse(&refusal, host),
        Err(status) => {
            tell(Err(status), "request body", host);
            then.refuse(&lost(), host)
        }
    }
}

/// A body in which no model can be found goes on as it is; the gateway role has let it pass.
fn rename(body: &[u8], model: &str, source: &Source, operation: Operation) -> Option<Vec<u8>> {
    // Only the model is looked for.
    let operation = if source.is_path() { operation } else { Operation::Other };
    let probe = source.read(body, operation).ok()?;
    let mut edits = Edits::default();
    edits.set_model(&probe, model);
    (!edits.is_empty()).then(|| edits.apply(body))
}

fn translate(
    body: &[u8],
    translating: Translating,
    then: &mut Waiting,
    service: &Service,
    host: &impl Host,
) -> Result<Result<(), Error>, Status> {
    let Translating { mut call, headers, mut original } = translating;
    let translated = match call.request(body) {
        Ok(translated) => translated,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let path = match path::under(&service.provider, &translated.path, call.upstream_model()) {
        Ok(path) => path,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // What is of the caller's program is for providers of its own protocol.
    let provider = &service.provider;
    let is_of_client = |name: &str| {
        let is_given = provider.credential.as_ref().is_some_and(|key| *key.header == *name);
        let ends_here = is_hidden(name, provider) || name.as_bytes().starts_with(INTERNAL);
        !(is_common(name.as_bytes()) || is_forwarded(name, provider) || is_given || ends_here)
    };
    // As the attempt before left the headers, some are no caller's and are gone by now, and some of
    // the caller's are back.
    let sent: Vec<String> = match then.left {
        0 => headers.iter().filter_map(|(name, _)| String::from_utf8(name.to_vec()).ok()).collect(),
        _ => original.names().map(str::to_owned).collect(),
    };
    let mut ours: Vec<(&str, Option<&[u8]>)> =
        sent.iter().filter(|name| is_of_client(name)).map(|name| (&**name, None)).collect();
    ours.push((":path", Some(path.as_bytes())));
    ours.push(("content-type", Some(b"application/json")));
    if then.dialect() == Dialect::Gemini && service.provider.credential.is_none() {
        // What opens Gemini opens nothing here.
        ours.push(("x-goog-api-key", None));
    }
    ours.extend(translated.headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))));
    // What the configuration says stands above what the protocol would say.
    ours.retain(|(name, _)| !service.provider.headers.iter().any(|(set, _)| **set == **name));
    for (name, value) in ours {
        // What the attempt before removed was put back.
        if value.is_some() || original.value(&headers, name).is_some() {
            original.note(&headers, name);
            write(Map::RequestHeaders, name, value, host)?;
        }
    }
    if then.can_fail_over() {
        original.save(host)?;
    }
    replace(&translated.body, host)?;
    then.warnings = translated.warnings;
    then.call = Some(Box::new(call));
    Ok(Ok(()))
}

fn replace(body: &[u8], host: &impl Host) -> Result<(), Status> {
    host.splice_body(Buffer::RequestBody, 0, usize::MAX, body)?;
    host.set_header(Map::RequestHeaders, "content-length", Decimal::new(body.len()).value())
}

fn lost() -> Error {
    Error::new(Kind::ServiceUnavailable, "The request could not be sent on.")
}

/// Writes the headers. `original`: what earlier attempts changed of them, and now this one.
fn make(
    provider: &Provider,
    headers: &Pairs,
    original: &mut Original,
    left: Option<&Left>,
    path: Option<&[u8]>,
    host: &impl Host,
) -> Result<(), Status> {
    let mut ours: Vec<(&str, Option<&[u8]>)> = Vec::new();
    if let Some(path) = path {
        ours.push((":path", Some(path)));
    }
    if let Some(host) = provider.host.as_deref() {
        ours.push((":authority", Some(host.as_bytes())));
    }
    if let Some(credential) = &provider.credential {
        // A provider that is given a key of its own gets no other.
        let foreign = FOREIGN_CREDENTIALS.iter().filter(|name| !is_forwarded(name, provider));
        ours.extend(CREDENTIAL_HEADERS.iter().chain(foreign).map(|name| (*name, None)));
        ours.retain(|(name, _)| *name != &*credential.header);
        ours.push((&credential.header, Some(credential.value.as_bytes())));
    }
    for (name, value) in &provider.headers {
        ours.retain(|(named, _)| *named != &**name);
        ours.push((name, Some(value.as_bytes())));
    }
    let is_ours = |name: &str| ours.iter().any(|(named, _)| *named == name);
    original.restore(headers, host, |name| is_ours(name) || is_hidden(name, provider))?;
    for (name, value) in &ours {
        // What is right already costs no call.
        if original.is_noted(name) || headers.get(name) != *value {
            original.note(headers, name);
            write(Map::RequestHeaders, name, *value, host)?;
        }
    }
    for (name, _) in headers.iter() {
        let ends_here = |name| is_hidden(name, provider) && !is_ours(name);
        if name.starts_with(INTERNAL) || std::str::from_utf8(name).is_ok_and(ends_here) {
            host.remove_header(Map::RequestHeaders, name)?;
        }
    }
    if !provider.forward_headers.is_empty() {
        let left = left.map_or(0, |left| left.steps().count());
        handoff::forward(left, &provider.forward_headers, host)?;
    }
    // The gateway role does not tell a caller that a credential is wrong which is not the caller's.
    match (&provider.credential, left) {
        (Some(_), _) => host.set_filter_state(handoff::CREDENTIAL, handoff::PROVIDERS)?,
        (None, Some(_)) => host.set_filter_state(handoff::CREDENTIAL, b"caller")?,
        (None, None) => {}
    }
    if let Some(left) = left {
        // The body of each attempt starts as the gateway sent it, and so must its length.
        original.note(headers, "content-length");
        left.advance(host)?;
    }
    Ok(())
}

/// What a translation has to know; the gateway role has published it.
fn context(model: Option<&str>, request_id: &str, host: &impl Host) -> Context {
    let now = host.now();
    Context {
        upstream_model: upstream_model(model, host),
        model: state("llm_model", host).unwrap_or_default(),
        request_id: request_id.to_owned(),
        created: now.seconds(),
        clock: Clock::starting(now),
        default_max_tokens: DEFAULT_MAX_TOKENS,
        ..Context::default()
    }
}

/// What this provider calls the model: the chain says it, or, where there is none, what the gateway
/// role has published.
fn upstream_model(model: Option<&str>, host: &impl Host) -> String {
    let model = model.map(ToOwned::to_owned).or_else(|| state("llm_upstream_model", host));
    model.unwrap_or_default()
}

fn state(name: &str, host: &impl Host) -> Option<String> {
    host.property(&[name]).ok().and_then(|value| String::from_utf8(value).ok())
}

/// Whether a header ends here, whoever the provider is.
fn is_hidden(name: &str, provider: &Provider) -> bool {
    is_private(name.as_bytes()) && !is_forwarded(name, provider)
}

fn is_forwarded(name: &str, provider: &Provider) -> bool {
    provider.forward_headers.iter().any(|forwarded| **forwarded == *name)
}

/// For providers that want a limit where OpenAI's API has none, and models whose own is not known.
const DEFAULT_MAX_TOKENS: u64 = 8192;
