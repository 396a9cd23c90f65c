//! Plain HTTP to this machine: the admin interface, model servers, first checks.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::Agent;

/// A whole answer; a 4xx or 5xx is an answer too.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON (status {}): {}", self.status, self.text()))
    }
}

pub fn get(url: &str) -> Result<Answer> {
    read(AGENT.get(url).call(), url)
}

/// For servers that may not be there, or may be something else.
pub fn get_within(url: &str, limit: Duration) -> Result<Answer> {
    read(AGENT.get(url).config().timeout_global(Some(limit)).build().call(), url)
}

pub fn post_json(url: &str, body: &Value) -> Result<Answer> {
    post(url, &[("content-type", "application/json")], body.to_string().as_bytes())
}

pub fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let request = headers.iter().fold(AGENT.post(url), |r, (key, value)| r.header(*key, *value));
    read(request.send(body), url)
}

fn read(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>, url: &str) -> Result<Answer> {
    let mut answer = sent.with_context(|| format!("no answer from {url}"))?;
    let headers = answer
        .headers()
        .iter()
        .map(|(key, value)| {
            (key.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(BODY_LIMIT).read_to_vec()?;
    Ok(Answer { status, headers, body })
}

/// No pool: a test that counts connections or restarts a server is not surprised.
static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder()
        .http_status_as_error(false)
        // Loopback is behind no proxy, whatever the environment says.
        .proxy(None)
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
});

const BODY_LIMIT: u64 = 256 << 20;
