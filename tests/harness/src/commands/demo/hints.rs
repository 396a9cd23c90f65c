//! What the demo says when it is ready.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::model::Model;

/// Where things are.
pub(super) struct Places<'a> {
    pub(super) url: &'a str,
    pub(super) page: Option<&'a str>,
    pub(super) admin: SocketAddr,
    pub(super) dir: &'a Path,
    /// The environment names a proxy that clients would use.
    pub(super) proxied: bool,
}

pub(super) fn introduction(places: &Places<'_>, model: &Model) -> String {
    let Places { url, page, admin, dir, proxied } = places;
    let mut text = String::new();
    let page = page.map(|page| format!("\n  page    {page}")).unwrap_or_default();
    let name = model.names.first().map(String::as_str).unwrap_or_default();
    let _ = write!(
        text,
        "\nThe gateway is ready: {url}/v1
  model   {name} ({}), also reachable as local/{name}{page}
  admin   http://{admin}
  files   {}

Try, in another terminal:
",
        model.description,
        dir.display(),
    );
    let direct = if *proxied { " --noproxy '*'" } else { "" };
    for (title, command) in commands(url, name, direct) {
        let _ = write!(text, "\n  # {title}\n  {command}\n");
    }
    // Clients would ask the proxy for this machine.
    let direct = if *proxied { "no_proxy=127.0.0.1 " } else { "" };
    let _ = write!(
        text,
        "\nOr any OpenAI client: {direct}OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=none\n\n"
    );
    text
}

/// Whether clients on this machine would ask a proxy for the gateway.
pub(super) fn is_proxied(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    let excepted = |name: &&str| {
        let all = variable(name).unwrap_or_default();
        all.split(',').any(|host| matches!(host.trim(), "127.0.0.1" | "*" | "127.0.0.0/8"))
    };
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].iter().any(set)
        && !["no_proxy", "NO_PROXY"].iter().any(excepted)
}

fn commands(url: &str, model: &str, direct: &str) -> [(&'static str, String); 4] {
    let chat = |options: &str, model: &str, stream: bool| {
        let mut body = json!({
            "model": model,
            "messages": [{"role": "user", "content": "What is a proxy? One sentence."}],
            "max_tokens": 64,
        });
        if stream {
            body["stream"] = true.into();
        }
        // A model's name comes from outside; a quote in it must not end the argument.
        let body = body.to_string().replace('\'', r"'\''");
        format!(
            "curl {options}{direct} {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'"
        )
    };
    [
        ("a chat", chat("-s", model, false)),
        ("the same, word by word", chat("-sN", model, true)),
        ("the models", format!("curl -s{direct} {url}/v1/models")),
        ("a model that does not exist", chat("-si", "no-such-model", false)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_one_line_and_survives_a_quote() {
        for (_, command) in commands("http://127.0.0.1:10000", "o'model", " --noproxy '*'") {
            assert!(!command.contains('\n'));
            let quotes = command.replace(r"'\''", "").matches('\'').count();
            assert_eq!(quotes % 2, 0, "{command}");
        }
    }

    #[test]
    fn a_proxy_counts_unless_this_machine_is_excepted() {
        let of = |set: &[(&str, &str)]| {
            is_proxied(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned())
            })
        };
        assert!(of(&[("http_proxy", "http://proxy:1")]) && of(&[("ALL_PROXY", "socks5://p")]));
        assert!(!of(&[("http_proxy", "")]) && !of(&[("https_proxy", "http://proxy:1")]));
        assert!(!of(&[("http_proxy", "p"), ("no_proxy", "a.example, 127.0.0.1")]));
        assert!(of(&[("http_proxy", "p"), ("NO_PROXY", "a.example")]));
    }
}
