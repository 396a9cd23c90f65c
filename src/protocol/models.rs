//! The model list, in the shapes of OpenAI, Anthropic, Gemini and Ollama.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::protocol::Dialect;

/// One model, as the lists of both APIs know it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelInfo<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    #[serde(borrow)]
    pub owned_by: Cow<'a, str>,
}

impl ModelInfo<'_> {
    /// The answer to `GET /v1/models/{id}`.
    pub fn render(&self, dialect: Dialect) -> Vec<u8> {
        self.value(dialect).to_string().into_bytes()
    }

    /// When a model was made is not known here; both APIs want a date, and Anthropic's names the
    /// epoch for that case.
    fn value(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Anthropic => json!({
                "type": "model",
                "id": self.id,
                "display_name": self.id,
                "created_at": "1970-01-01T00:00:00Z",
            }),
            Dialect::Gemini => json!({
                "name": format!("models/{}", self.id),
                "version": "",
                "displayName": self.id,
                "supportedGenerationMethods": METHODS,
            }),
            Dialect::Ollama => json!({
                "name": self.id,
                "model": self.id,
                "modified_at": "1970-01-01T00:00:00Z",
                "size": 0,
                "digest": "",
                "details": {},
            }),
            Dialect::OpenAi => json!({
                "id": self.id,
                "object": "model",
                "created": 0,
                "owned_by": self.owned_by,
            }),
        }
    }
}

/// The answer to `GET /v1/models`: all of them, in the given order, on one page.
pub fn render<'a>(dialect: Dialect, models: impl IntoIterator<Item = ModelInfo<'a>>) -> Vec<u8> {
    let data: Vec<Value> = models.into_iter().map(|model| model.value(dialect)).collect();
    let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
    let list = match dialect {
        Dialect::Anthropic => json!({
            "first_id": id(data.first()),
            "last_id": id(data.last()),
            "has_more": false,
            "data": data,
        }),
        Dialect::Gemini | Dialect::Ollama => json!({ "models": data }),
        Dialect::OpenAi => json!({ "object": "list", "data": data }),
    };
    list.to_string().into_bytes()
}

/// What a model cannot do is told when it is asked to; clients leave out models without these.
const METHODS: [&str; 4] =
    ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents"];

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str) -> ModelInfo<'_> {
        ModelInfo { id: id.into(), owned_by: "ollama".into() }
    }

    fn read(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn openai_clients_get_a_list_in_the_given_order() {
        let openai =
            |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "ollama"});
        let body = render(Dialect::OpenAi, [model("b\""), model("a")]);
        assert_eq!(read(&body), json!({"object": "list", "data": [openai("b\""), openai("a")]}));
        assert_eq!(read(&render(Dialect::OpenAi, [])), json!({"object": "list", "data": []}));
        let one = model("a").render(Dialect::OpenAi);
        assert_eq!(read(&one), openai("a"));
        assert_eq!(serde_json::from_slice::<ModelInfo<'_>>(&one).unwrap(), model("a"));
    }

    #[test]
    fn ollama_clients_get_tags() {
        let list = read(&render(Dialect::Ollama, [model("a:1b")]));
        let tag = &list["models"][0];
        assert_eq!((tag["name"].as_str(), tag["model"].as_str()), (Some("a:1b"), Some("a:1b")));
    }

    #[test]
    fn gemini_clients_get_names_that_are_resources() {
        let one = read(&model("a/b:1").render(Dialect::Gemini));
        assert_eq!(one["name"], "models/a/b:1");
        let list = read(&render(Dialect::Gemini, [model("a/b:1")]));
        assert_eq!(list, json!({ "models": [one] }));
    }

    #[test]
    fn anthropic_clients_get_one_page() {
        let anthropic = |id: &str| json!({"type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z"});
        assert_eq!(
            read(&render(Dialect::Anthropic, [model("x"), model("y")])),
            json!({"data": [anthropic("x"), anthropic("y")], "has_more": false, "first_id": "x", "last_id": "y"})
        );
        assert_eq!(
            read(&render(Dialect::Anthropic, [])),
            json!({"data": [], "has_more": false, "first_id": null, "last_id": null})
        );
        assert_eq!(read(&model("x").render(Dialect::Anthropic)), anthropic("x"));
    }
}
