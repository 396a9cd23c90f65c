//! What models differ in that no field of a request tells. Known from the name, whatever stands
//! around it: `us.anthropic.claude-opus-4-6-v1:0`, `openai/gpt-5`, `ft:gpt-4o-2024-08-06:org::id`,
//! `claude-sonnet-4-5@20250929`.
//!
//! To add a model, add a row: the first that fits counts, and a version that is not known is a new
//! one. So a new model behaves as the newest of its family until it has a row of its own.

use super::Context;

/// What is known of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) family: Family,
    /// The most tokens that an answer may have.
    pub(super) output: Option<u64>,
    /// OpenAI's reasoning models: they take `max_completion_tokens` and no sampling parameters.
    pub(super) reasons: bool,
    /// The words for how much to think, the least first. None: it takes none.
    pub(super) efforts: &'static [&'static str],
    /// How many stop sequences it takes.
    pub(super) stops: usize,
    /// Takes `temperature`, `top_p` and `top_k`.
    pub(super) samples: bool,
    pub(super) thinking: Thinking,
    /// Keeps to a schema by itself, in answers and in calls of strict tools.
    pub(super) schemas: bool,
    /// May be forced to call a tool.
    pub(super) forces: bool,
    /// What of a prompt Bedrock may be told to cache.
    pub(super) caches: Caches,
    /// How chat completions take tools where the model reasons.
    pub(super) tools: Tools,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Claude,
    /// OpenAI's models at OpenAI.
    Gpt,
    /// Those that are called `o` and a number.
    O,
    /// OpenAI's open models.
    GptOss,
    Gemini,
    Nova,
    Other,
}

/// How a model is asked to think, in Anthropic's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    Never,
    /// With a number of tokens.
    Budget,
    /// With a number of tokens, or as much as it finds right.
    Either,
    /// As much as it finds right.
    Adaptive,
    /// As much as it finds right, whatever it is told.
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caches {
    Nothing,
    /// All but the tools.
    Messages,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tools {
    Any,
    /// Not together with an effort.
    WithoutEffort,
    /// Only if the model is told not to reason.
    WithoutReasoning,
}

impl Facts {
    /// Of the model of a call, as far as the configuration does not say otherwise.
    pub(super) fn of(context: &Context) -> Self {
        let name = context.like.as_deref().unwrap_or(&context.upstream_model);
        let facts = Self::named(name);
        Self { output: context.max_output_tokens.or(facts.output), ..facts }
    }

    pub(super) fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let (family, rest) = family(&name);
        let version = match family {
            Family::Gemini => decimal(rest),
            Family::Gpt => number(rest),
            Family::O => (0, 0),
            _ => version(rest),
        };
        let fits =
            |row: &&Row| row.family == family && version >= row.from && rest.contains(row.word);
        ROWS.iter().find(fits).map_or(OTHER, |row| Self { family, ..row.facts })
    }

    /// The word of the model's own that is nearest to the one asked for. `None`: it has none, or
    /// does not know what was asked for.
    pub(super) fn effort(&self, asked: &str) -> Option<&'static str> {
        let place = |word: &str| SCALE.iter().position(|known| *known == word);
        let asked = place(asked)?;
        // Of two that are as near the lesser.
        self.efforts.iter().copied().min_by_key(|word| place(word).map(|at| at.abs_diff(asked)))
    }

    /// Thinks as much as it finds right, steered by an effort; others are given a budget.
    pub(super) fn is_adaptive(&self) -> bool {
        matches!(self.thinking, Thinking::Either | Thinking::Adaptive | Thinking::Always)
    }

    pub(super) fn takes_budgets(&self) -> bool {
        matches!(self.thinking, Thinking::Budget | Thinking::Either)
    }

    pub(super) fn always_thinks(&self) -> bool {
        self.thinking == Thinking::Always
    }
}

struct Row {
    family: Family,
    /// Stands in the name behind the family's.
    word: &'static str,
    /// The version, or a later one.
    from: (u8, u8),
    facts: Facts,
}

const fn row(family: Family, word: &'static str, from: (u8, u8), facts: Facts) -> Row {
    Row { family, word, from, facts }
}

/// Of which nothing is known.
const OTHER: Facts = Facts {
    family: Family::Other,
    output: None,
    reasons: false,
    efforts: &[],
    stops: usize::MAX,
    samples: true,
    thinking: Thinking::Budget,
    schemas: false,
    forces: true,
    caches: Caches::Nothing,
    tools: Tools::Any,
};

const CLAUDE: Facts = Facts { caches: Caches::All, output: Some(128_000), ..OTHER };
const CLAUDE_3: Facts =
    Facts { thinking: Thinking::Never, caches: Caches::Nothing, output: Some(4_096), ..CLAUDE };
const CLAUDE_4_1: Facts = Facts { schemas: true, output: Some(64_000), ..CLAUDE };
const CLAUDE_4_6: Facts = Facts {
    thinking: Thinking::Either,
    efforts: &["low", "medium", "high", "max"],
    output: Some(128_000),
    ..CLAUDE_4_1
};
const CLAUDE_4_7: Facts = Facts {
    thinking: Thinking::Adaptive,
    efforts: &["low", "medium", "high", "xhigh", "max"],
    samples: false,
    ..CLAUDE_4_6
};
const CLAUDE_STEADY: Facts = Facts { thinking: Thinking::Always, ..CLAUDE_4_7 };
const CLAUDE_5_5: Facts = Facts { forces: false, ..CLAUDE_STEADY };

const GPT: Facts = Facts { stops: 4, thinking: Thinking::Never, schemas: true, ..OTHER };
const GPT_4O: Facts = Facts { output: Some(16_384), ..GPT };
const REASONS: Facts = Facts { reasons: true, samples: false, stops: 0, ..GPT };
const O3: Facts = Facts { efforts: &["low", "medium", "high"], output: Some(100_000), ..REASONS };
const GPT_5: Facts =
    Facts { efforts: &["minimal", "low", "medium", "high"], output: Some(128_000), ..REASONS };
const GPT_5_CODEX: Facts = Facts { efforts: &["low", "medium", "high"], ..GPT_5 };
const GPT_5_PRO: Facts = Facts { efforts: &["high"], ..GPT_5 };
const GPT_5_1: Facts = Facts { efforts: &["none", "low", "medium", "high"], ..GPT_5 };
const GPT_5_1_CODEX_MAX: Facts = Facts { efforts: &["low", "medium", "high", "xhigh"], ..GPT_5 };
const GPT_5_2: Facts = Facts { efforts: &["none", "low", "medium", "high", "xhigh"], ..GPT_5 };
const GPT_5_2_PRO: Facts = Facts { efforts: &["medium", "high", "xhigh"], ..GPT_5 };
const GPT_5_4: Facts = Facts { tools: Tools::WithoutEffort, ..GPT_5_2 };
const GPT_5_6: Facts = Facts { tools: Tools::WithoutReasoning, ..GPT_5_2 };
const GPT_6: Facts = Facts {
    efforts: &["low", "medium", "high", "xhigh", "max"],
    tools: Tools::WithoutEffort,
    ..GPT_5
};

const GEMINI: Facts = Facts { stops: 5, schemas: true, output: Some(65_536), ..OTHER };
const NOVA: Facts = Facts {
    stops: 4,
    thinking: Thinking::Never,
    caches: Caches::Messages,
    output: Some(10_000),
    ..OTHER
};

const ROWS: &[Row] = &[
    row(Family::Claude, "fable", (5, 1), CLAUDE_5_5),
    row(Family::Claude, "mythos", (5, 1), CLAUDE_5_5),
    row(Family::Claude, "fable", (0, 0), CLAUDE_STEADY),
    row(Family::Claude, "mythos", (0, 0), CLAUDE_STEADY),
    row(Family::Claude, "", (5, 5), CLAUDE_5_5),
    row(Family::Claude, "", (4, 7), CLAUDE_4_7),
    row(Family::Claude, "sonnet", (4, 6), Facts { output: Some(64_000), ..CLAUDE_4_6 }),
    row(Family::Claude, "", (4, 6), CLAUDE_4_6),
    row(Family::Claude, "", (4, 5), CLAUDE_4_1),
    row(Family::Claude, "opus", (4, 1), Facts { output: Some(32_000), ..CLAUDE_4_1 }),
    row(Family::Claude, "", (4, 1), CLAUDE_4_1),
    row(Family::Claude, "opus", (4, 0), Facts { output: Some(32_000), ..CLAUDE }),
    row(Family::Claude, "", (3, 7), Facts { output: Some(64_000), ..CLAUDE }),
    row(Family::Claude, "", (3, 5), Facts { output: Some(8_192), caches: Caches::All, ..CLAUDE_3 }),
    row(Family::Claude, "", (0, 0), CLAUDE_3),
    row(Family::Gpt, "-chat", (5, 0), GPT_4O),
    row(Family::Gpt, "-search", (5, 0), Facts { efforts: &[], ..GPT_5 }),
    row(Family::Gpt, "", (6, 0), GPT_6),
    row(Family::Gpt, "-pro", (5, 2), GPT_5_2_PRO),
    row(Family::Gpt, "-pro", (5, 0), GPT_5_PRO),
    row(Family::Gpt, "-codex", (5, 2), GPT_5_1_CODEX_MAX),
    row(Family::Gpt, "-codex-max", (5, 1), GPT_5_1_CODEX_MAX),
    row(Family::Gpt, "-codex", (5, 0), GPT_5_CODEX),
    row(Family::Gpt, "", (5, 6), GPT_5_6),
    row(Family::Gpt, "", (5, 4), GPT_5_4),
    row(Family::Gpt, "", (5, 2), GPT_5_2),
    row(Family::Gpt, "", (5, 1), GPT_5_1),
    row(Family::Gpt, "", (5, 0), GPT_5),
    row(Family::Gpt, "gpt-4.", (4, 1), Facts { output: Some(32_768), ..GPT }),
    row(Family::Gpt, "gpt-4o-2024-05-13", (4, 0), Facts { output: Some(4_096), ..GPT }),
    row(Family::Gpt, "gpt-4o", (4, 0), GPT_4O),
    row(Family::Gpt, "gpt-4-", (4, 0), Facts { output: Some(4_096), ..GPT }),
    row(Family::Gpt, "gpt-4", (4, 0), Facts { output: Some(8_192), ..GPT }),
    row(Family::Gpt, "gpt-3", (3, 0), Facts { output: Some(4_096), ..GPT }),
    row(Family::O, "o1-mini", (0, 0), Facts { efforts: &[], output: Some(65_536), ..O3 }),
    row(Family::O, "o1-preview", (0, 0), Facts { efforts: &[], output: Some(32_768), ..O3 }),
    row(Family::O, "", (0, 0), O3),
    row(Family::Gpt, "", (0, 0), GPT),
    row(
        Family::GptOss,
        "",
        (0, 0),
        Facts { reasons: true, efforts: &["low", "medium", "high"], ..OTHER },
    ),
    row(Family::Gemini, "", (4, 0), Facts { output: None, ..GEMINI }),
    row(Family::Gemini, "", (2, 5), GEMINI),
    row(Family::Gemini, "", (0, 0), Facts { output: Some(8_192), ..GEMINI }),
    row(Family::Nova, "", (2, 0), Facts { output: Some(64_000), ..NOVA }),
    row(Family::Nova, "", (0, 0), NOVA),
];

/// The family of a model in lower case, and its name from there on.
fn family(name: &str) -> (Family, &str) {
    let from = |at: usize| name.get(at..).unwrap_or_default();
    if let Some(at) = name.find("claude") {
        return (Family::Claude, from(at.saturating_add("claude".len())));
    }
    // Words that stand in other makers' names as well begin a word here.
    let begins = |word: &str| {
        name.match_indices(word).map(|(at, _)| at).find(|at| {
            let before = name.as_bytes().get(at.wrapping_sub(1));
            *at == 0 || before.is_some_and(|b| !b.is_ascii_alphanumeric())
        })
    };
    if let Some(at) = begins("gpt-oss") {
        return (Family::GptOss, from(at));
    }
    let digit = |at: &usize| from(*at).as_bytes().get(4).is_some_and(u8::is_ascii_digit);
    if let Some(at) =
        begins("gpt-").filter(digit).or(begins("chatgpt-").map(|at| at.saturating_add(4)))
    {
        return (Family::Gpt, from(at));
    }
    if let Some(at) = ["o1", "o3", "o4", "o5"].into_iter().find_map(|word| {
        let at = begins(word)?;
        let whole = from(at).as_bytes().get(2).is_none_or(|b| b"-:@".contains(b));
        // Others have such a word at their end.
        let before = name.as_bytes().get(at.wrapping_sub(1));
        let alone = at == 0 || before.is_some_and(|b| matches!(b, b'/' | b'.' | b':'));
        (whole && alone).then_some(at)
    }) {
        return (Family::O, from(at));
    }
    if let Some(at) = begins("gemini") {
        return (Family::Gemini, from(at));
    }
    match begins("nova-") {
        Some(at) => (Family::Nova, from(at)),
        None => (Family::Other, name),
    }
}

/// `-sonnet-4-5-20250929`: (4, 5). Longer numbers are dates. Without one it is a new model.
fn version(name: &str) -> (u8, u8) {
    let mut parts = name.split(['-', '.', '@', ':', '_', '/']);
    let number = |part: &str| if part.len() <= 2 { part.parse::<u8>().ok() } else { None };
    match parts.find_map(number) {
        Some(major) => (major, parts.next().and_then(number).unwrap_or_default()),
        None => (u8::MAX, 0),
    }
}

/// `gemini-2.5-flash`: (2, 5).
pub(super) fn decimal(name: &str) -> (u8, u8) {
    let number = |digits: &str| digits.parse::<u8>().ok();
    let mut parts = name.split(['-', '@', ':']).filter_map(|part| {
        let (major, minor) = part.split_once('.').unwrap_or((part, "0"));
        Some((number(major)?, number(minor)?))
    });
    parts.next().unwrap_or((u8::MAX, 0))
}

/// `gpt-5.1-codex`: (5, 1); `gpt-4o`: (4, 0).
fn number(name: &str) -> (u8, u8) {
    let name = name.strip_prefix("gpt-").unwrap_or(name);
    let digits = |text: &str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
    let major = digits(name);
    let minor = name.get(major.len()..).and_then(|rest| rest.strip_prefix('.'));
    let minor = minor.map(digits).unwrap_or_default();
    // Azure writes gpt-35-turbo.
    let major = if major == "35" { 3 } else { major.parse().unwrap_or(u8::MAX) };
    (major, minor.parse().unwrap_or_default())
}

const SCALE: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claude_is_known_by_its_version_wherever_its_name_stands() {
        let cases = [
            ("claude-2.1", Thinking::Never, true, 4_096),
            ("claude-3-haiku-20240307", Thinking::Never, true, 4_096),
            ("claude-3-5-sonnet-20241022", Thinking::Never, true, 8_192),
            ("claude-3-7-sonnet-latest", Thinking::Budget, true, 64_000),
            ("claude-opus-4-20250514", Thinking::Budget, true, 32_000),
            ("claude-opus-4-1@20250805", Thinking::Budget, true, 32_000),
            ("claude-sonnet-4-5@20250929", Thinking::Budget, true, 64_000),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Thinking::Budget, true, 64_000),
            ("anthropic.claude-opus-4-5-20251101-v1:0", Thinking::Budget, true, 64_000),
            ("claude-opus-4-6", Thinking::Either, true, 128_000),
            ("anthropic/claude-sonnet-4.6", Thinking::Either, true, 64_000),
            ("claude-opus-4-7", Thinking::Adaptive, false, 128_000),
            ("claude-opus-5", Thinking::Adaptive, false, 128_000),
            ("claude-sonnet-5@20260801", Thinking::Adaptive, false, 128_000),
            ("claude-fable-5-1", Thinking::Always, false, 128_000),
            ("claude-latest", Thinking::Always, false, 128_000),
        ];
        for (name, thinking, samples, output) in cases {
            let facts = Facts::named(name);
            assert_eq!(facts.family, Family::Claude, "{name}");
            let known = (facts.thinking, facts.samples, facts.output);
            assert_eq!(known, (thinking, samples, Some(output)), "{name}");
        }
        assert_eq!(Facts::named("kimi-k2"), OTHER);
    }

    #[test]
    fn what_openais_models_take_is_known_by_name() {
        let o3: &[&str] = &["low", "medium", "high"];
        let cases: [(&str, bool, &[&str], usize); 26] = [
            ("gpt-4o", false, &[], 4),
            ("ft:gpt-4o-2024-08-06:org::id", false, &[], 4),
            ("gpt-35-turbo", false, &[], 4),
            ("chatgpt-4o-latest", false, &[], 4),
            ("gpt-5-chat-latest", false, &[], 4),
            ("o1", true, o3, 0),
            ("o1-mini", true, &[], 0),
            ("openai/o3", true, o3, 0),
            ("ft:o4-mini-2025-04-16:org::id", true, o3, 0),
            ("gpt-oss-20b", true, o3, usize::MAX),
            ("openai.gpt-oss-120b-1:0", true, o3, usize::MAX),
            ("gpt-5", true, &["minimal", "low", "medium", "high"], 0),
            ("openai.gpt-5", true, &["minimal", "low", "medium", "high"], 0),
            ("ft:gpt-5-mini-2025-08-07:org::id", true, &["minimal", "low", "medium", "high"], 0),
            ("my-gpt-5-deployment", true, &["minimal", "low", "medium", "high"], 0),
            ("gpt-5-codex", true, o3, 0),
            ("gpt-5-pro", true, &["high"], 0),
            ("gpt-5.1-2025-11-13", true, &["none", "low", "medium", "high"], 0),
            ("gpt-5.1-codex", true, o3, 0),
            ("gpt-5.1-codex-max", true, &["low", "medium", "high", "xhigh"], 0),
            ("gpt-5.2", true, &["none", "low", "medium", "high", "xhigh"], 0),
            ("global.openai.gpt-5.5", true, &["none", "low", "medium", "high", "xhigh"], 0),
            ("gpt-5.5-pro", true, &["medium", "high", "xhigh"], 0),
            ("gpt-10", true, &["low", "medium", "high", "xhigh", "max"], 0),
            ("omni", false, &[], usize::MAX),
            ("marco-o1", false, &[], usize::MAX),
        ];
        for (name, reasons, efforts, stops) in cases {
            let facts = Facts::named(name);
            assert_eq!(
                (facts.reasons, facts.efforts, facts.stops),
                (reasons, efforts, stops),
                "{name}"
            );
        }
    }

    #[test]
    fn an_effort_is_the_nearest_that_the_model_has() {
        for (model, asked, expected) in [
            ("gpt-5", "none", Some("minimal")),
            ("gpt-5", "xhigh", Some("high")),
            ("gpt-5.1", "minimal", Some("none")),
            ("gpt-5.1", "xhigh", Some("high")),
            ("gpt-5.2", "max", Some("xhigh")),
            ("gpt-5-pro", "low", Some("high")),
            ("o3", "none", Some("low")),
            ("o3", "max", Some("high")),
            ("claude-opus-4-6", "xhigh", Some("high")),
            ("gpt-4o", "low", None),
            ("o3", "enormous", None),
        ] {
            assert_eq!(Facts::named(model).effort(asked), expected, "{model} {asked}");
        }
    }

    #[test]
    fn only_some_of_bedrocks_models_can_be_told_what_to_cache() {
        for (name, caches) in [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Caches::All),
            ("anthropic.claude-3-haiku-20240307-v1:0", Caches::Nothing),
            ("us.amazon.nova-pro-v1:0", Caches::Messages),
            ("meta.llama3-3-70b-instruct-v1:0", Caches::Nothing),
            ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/x", Caches::Nothing),
        ] {
            assert_eq!(Facts::named(name).caches, caches, "{name}");
        }
    }

    #[test]
    fn the_version_of_a_gemini_is_in_its_name() {
        for (name, expected) in [
            ("gemini-1.5-pro-002", (1, 5)),
            ("gemini-2.0-flash", (2, 0)),
            ("gemini-2.5-flash-lite", (2, 5)),
            ("gemini-3-pro-preview", (3, 0)),
            ("gemini-3.5-flash", (3, 5)),
            ("gemini-flash-latest", (255, 0)),
        ] {
            assert_eq!(decimal(name), expected, "{name}");
        }
    }
}
