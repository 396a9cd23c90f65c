//! What Claude models differ in that no field of a request tells: how they are asked to think, and
//! whether they take sampling parameters. Known from the version in the name.

/// What a model's name says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claude {
    /// Thinks as much as it finds right, steered by an effort; others are given a budget.
    pub(super) adaptive: bool,
    /// Takes `temperature`, `top_p` and `top_k`.
    pub(super) samples: bool,
    /// Keeps to a schema by itself, in answers and in calls of strict tools.
    pub(super) schemas: bool,
    /// Knows the effort `xhigh`.
    pub(super) xhigh: bool,
    /// Thinks whatever it is told.
    pub(super) always_thinks: bool,
}

impl Claude {
    /// Names that are no Claude's are of servers that speak Anthropic's protocol as it was at
    /// first. A Claude without a version is a new one.
    pub(super) fn named(model: &str) -> Self {
        let Some((_, name)) = model.split_once("claude") else {
            return Self {
                adaptive: false,
                samples: true,
                schemas: false,
                xhigh: false,
                always_thinks: false,
            };
        };
        let version = version(name);
        Self {
            adaptive: version >= (4, 6),
            samples: version < (4, 7),
            schemas: version >= (4, 1),
            xhigh: version >= (4, 7),
            always_thinks: name.contains("fable") || name.contains("mythos"),
        }
    }
}

/// `claude-sonnet-4-5-20250929`: (4, 5). Longer numbers are dates.
fn version(name: &str) -> (u8, u8) {
    let mut parts = name.split(['-', '.', '@', ':', '_']);
    let number = |part: &str| if part.len() <= 2 { part.parse::<u8>().ok() } else { None };
    match parts.find_map(number) {
        Some(major) => (major, parts.next().and_then(number).unwrap_or_default()),
        None => (u8::MAX, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_name() {
        let cases = [
            ("claude-3-5-sonnet-20241022", (false, true)),
            ("claude-3-7-sonnet-latest", (false, true)),
            ("claude-opus-4-20250514", (false, true)),
            ("claude-sonnet-4-5-20250929", (false, true)),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (false, true)),
            ("claude-opus-4-6", (true, true)),
            ("claude-sonnet-4.6", (true, true)),
            ("claude-opus-4-7", (true, false)),
            ("claude-opus-5", (true, false)),
            ("claude-sonnet-5@20260801", (true, false)),
            ("claude-fable-5-1", (true, false)),
            ("claude-latest", (true, false)),
            ("kimi-k2", (false, true)),
        ];
        for (name, (adaptive, samples)) in cases {
            let claude = Claude::named(name);
            assert_eq!((claude.adaptive, claude.samples), (adaptive, samples), "{name}");
        }
    }
}
