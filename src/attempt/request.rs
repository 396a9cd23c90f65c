//! Makes the request this provider's own.

use super::original::{Original, write};
use super::{Service, State};
use crate::handoff::Left;
use crate::host::{Buffer, Flow, Host, Map, Pairs, Status};
use crate::identity::CREDENTIAL_HEADERS;
use crate::protocol::Operation;
use crate::protocol::edit::Edits;
use crate::protocol::multipart;
use crate::protocol::probe::Probe;

/// The headers came.
pub(super) fn headers(service: &Service, end: bool, host: &impl Host) -> (State, Flow) {
    let left = Left::read(host);
    let made = host.headers(Map::RequestHeaders).and_then(|headers| {
        make(service, &headers, left.as_ref(), host)?;
        Ok(headers.get("content-type").and_then(multipart::boundary).map(Into::into))
    });
    let renamed = left.as_ref().and_then(|left| left.steps().next()).map(|step| step.model.into());
    match (made, renamed) {
        (Ok(boundary), Some(model)) if !end => (State::Renaming { model, boundary }, Flow::Pause),
        (Ok(_), _) => (State::Sent, Flow::Continue),
        (Err(status), _) => {
            let name = &service.provider.name;
            host.log(log::Level::Error, &format!("provider {name}: headers: {status}"));
            (State::Sent, Flow::Continue)
        }
    }
}

/// The body came whole: it names the model as this provider does. A body in which no model can be
/// found goes on as it is; the gateway role has let it pass.
pub(super) fn rename(model: &str, boundary: Option<&[u8]>, host: &impl Host) {
    let Ok(body) = host.body(Buffer::RequestBody, 0, usize::MAX) else { return };
    let probe = match boundary {
        Some(boundary) => Probe::read_form(&body, boundary),
        None => Probe::read(&body, Operation::Other),
    };
    let Ok(probe) = probe.map_err(drop) else { return };
    let mut edits = Edits::default();
    edits.set_model(&probe, model);
    if edits.is_empty() {
        return;
    }
    let renamed = edits.apply(&body);
    let length = renamed.len().to_string();
    let replaced = host
        .splice_body(Buffer::RequestBody, 0, usize::MAX, &renamed)
        .and_then(|()| write(host, "content-length", Some(length.as_bytes())));
    if let Err(status) = replaced {
        host.log(log::Level::Error, &format!("model name: {status}"));
    }
}

fn make(
    service: &Service,
    headers: &Pairs,
    left: Option<&Left>,
    host: &impl Host,
) -> Result<(), Status> {
    let provider = &service.provider;
    let mut original = match left {
        Some(_) => Original::read(host),
        None => Original::default(),
    };
    let path = original.value(headers, ":path").map(|path| rebase(path, &provider.base_path));
    let mut ours: Vec<(&str, Option<&[u8]>)> = Vec::new();
    if let Some(path) = path.as_deref() {
        ours.push((":path", Some(path)));
    }
    if let Some(host) = provider.host.as_deref() {
        ours.push((":authority", Some(host.as_bytes())));
    }
    if let Some(credential) = &provider.credential {
        // A provider that is given a key of its own gets no other.
        ours.extend(CREDENTIAL_HEADERS.iter().map(|name| (*name, None)));
        ours.retain(|(name, _)| *name != &*credential.header);
        ours.push((&credential.header, Some(credential.value.as_bytes())));
    }
    for (name, value) in &provider.headers {
        ours.retain(|(named, _)| *named != &**name);
        ours.push((name, Some(value.as_bytes())));
    }
    original.restore(host, |name| ours.iter().any(|(named, _)| *named == name))?;
    for (name, value) in &ours {
        // What is right already costs no call.
        if original.is_noted(name) || headers.get(name) != *value {
            if left.is_some() {
                original.note(headers, name);
            }
            write(host, name, *value)?;
        }
    }
    remove_internal(headers, host)?;
    let Some(left) = left else { return Ok(()) };
    // The body of each attempt starts as the gateway sent it, and so must its length.
    original.note(headers, "content-length");
    original.save(host)?;
    left.advance(host)
}

fn remove_internal(headers: &Pairs, host: &impl Host) -> Result<(), Status> {
    for (name, _) in headers.iter().filter(|(name, _)| name.starts_with(INTERNAL)) {
        host.remove_header(Map::RequestHeaders, name)?;
    }
    Ok(())
}

/// The caller's path under the provider's base: `/v1` at its head is the gateway's own.
fn rebase(path: &[u8], base: &str) -> Vec<u8> {
    match path.strip_prefix(b"/v1") {
        Some(rest) if matches!(rest.first(), None | Some(b'/' | b'?')) => {
            [base.as_bytes(), rest].concat()
        }
        _ => path.to_vec(),
    }
}

/// The prefix of what is between the two roles only.
const INTERNAL: &[u8] = b"x-llm-";
