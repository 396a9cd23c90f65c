//! Envoy's admin interface.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http;

#[derive(Clone, Copy, Debug)]
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    pub(super) fn unknown() -> Self {
        Self::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&self, path: &str) -> Result<http::Answer> {
        let answer = http::get(&format!("http://{}{path}", self.address))?;
        if answer.status != 200 {
            bail!("admin {path}: status {}: {}", answer.status, answer.text());
        }
        Ok(answer)
    }

    /// Some paths change things and take only POST.
    pub fn post(&self, path: &str) -> Result<String> {
        let answer = http::post(&format!("http://{}{path}", self.address), &[], b"")?;
        if answer.status != 200 {
            bail!("admin {path}: status {}: {}", answer.status, answer.text());
        }
        Ok(answer.text())
    }

    /// Its workers accept connections.
    pub fn is_ready(&self) -> bool {
        self.get("/ready").is_ok()
    }

    /// Where a listener really listens.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let listeners = self.get("/listeners?format=json")?.json()?;
        let statuses = listeners["listener_statuses"].as_array().context("no listener")?;
        let socket = statuses
            .iter()
            .find(|status| status["name"] == name)
            .map(|status| &status["local_address"]["socket_address"])
            .with_context(|| format!("no listener {name:?} in {listeners}"))?;
        let ip = socket["address"].as_str().context("no address")?.parse()?;
        let port = socket["port_value"].as_u64().context("no port")?;
        Ok(SocketAddr::new(ip, u16::try_from(port)?))
    }

    /// Counters and gauges whose name matches the regular expression.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let text = self.get(&format!("/stats?filter={}", escape(filter)))?.text();
        Ok(text
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }

    /// One counter or gauge; 0 where there is none.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let literal: String = name
            .chars()
            .flat_map(|c| {
                let escaped = (!c.is_alphanumeric() && c != '_').then_some('\\');
                escaped.into_iter().chain([c])
            })
            .collect();
        Ok(self.stats(&format!("^{literal}$"))?.get(name).copied().unwrap_or_default())
    }

    /// The stats in Prometheus' text format.
    pub fn prometheus(&self) -> Result<String> {
        Ok(self.get("/stats/prometheus")?.text())
    }

    /// The value of one series, as it is written there: `llm_requests_total{model="a",code="200"}`
    /// with the labels in any order.
    pub fn sample(&self, series: &str) -> Result<Option<f64>> {
        Ok(sample(&self.prometheus()?, series))
    }

    pub fn config_dump(&self) -> Result<Value> {
        self.get("/config_dump")?.json()
    }

    /// Lets open streams end and takes no new ones.
    pub fn drain(&self) -> Result<()> {
        self.post("/drain_listeners?graceful").map(drop)
    }
}

fn sample(exposition: &str, series: &str) -> Option<f64> {
    let wanted = parse_series(series);
    exposition
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .find(|(name, _)| parse_series(name) == wanted)
        .and_then(|(_, value)| value.parse().ok())
}

fn parse_series(text: &str) -> (&str, Vec<&str>) {
    let (name, labels) = text.split_once('{').unwrap_or((text, ""));
    let mut labels: Vec<_> = labels
        .trim_end_matches('}')
        .split_inclusive("\",")
        .map(|label| label.trim_end_matches(',').trim())
        .filter(|label| !label.is_empty())
        .collect();
    labels.sort_unstable();
    (name.trim(), labels)
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_whatever_the_order_of_its_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2,3\"} 7\na{x=\"1\"} 8\nb{} 9\n";
        assert_eq!(sample(text, "a{y=\"2,3\",x=\"1\"}"), Some(7.0));
        assert_eq!(sample(text, "a{x=\"1\"}"), Some(8.0));
        assert_eq!(sample(text, "b"), Some(9.0));
        assert_eq!(sample(text, "a"), None);
    }
}
