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
}

pub(super) fn introduction(places: &Places<'_>, model: &Model) -> String {
    let Places { url, page, admin, dir } = places;
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
    for (title, command) in commands(url, name) {
        let _ = write!(text, "\n  # {title}\n  {command}\n");
    }
    let _ =
        write!(text, "\nOr any OpenAI client: OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=none\n\n");
    text
}

fn commands(url: &str, model: &str) -> [(&'static str, String); 4] {
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
            "curl {options} {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'"
        )
    };
    [
        ("a chat", chat("-s", model, false)),
        ("the same, word by word", chat("-sN", model, true)),
        ("the models", format!("curl -s {url}/v1/models")),
        ("a model that does not exist", chat("-si", "no-such-model", false)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_one_line_and_survives_a_quote() {
        for (_, command) in commands("http://127.0.0.1:10000", "o'model") {
            assert!(!command.contains('\n'));
            let quotes = command.replace(r"'\''", "").matches('\'').count();
            assert_eq!(quotes % 2, 0, "{command}");
        }
    }
}
