use proptest::prelude::*;

use super::*;

fn model(name: &str) -> Model {
    Model {
        name: Pattern::new(name),
        capabilities: Capabilities::UNCHECKED,
        context_window: None,
        price: None,
    }
}

fn provider(name: &str, priority: u32, models: Vec<Model>) -> ProviderModels {
    let provider = Provider { name: name.into(), cluster: format!("{name}-cluster").into() };
    ProviderModels { provider: Arc::new(provider), priority, models }
}

fn entry(provider: &str, model: &str, priority: u32, weight: u32) -> AliasEntry {
    AliasEntry {
        provider: provider.into(),
        model: Pattern::new(model),
        priority: Some(priority),
        weight: NonZeroU32::new(weight).unwrap(),
        attempts: Attempts::default(),
    }
}

fn alias(name: &str, entries: Vec<AliasEntry>) -> Alias {
    Alias { name: Pattern::new(name), entries }
}

/// The documented example, and a router whose model names contain slashes.
fn table() -> Table {
    let gpt_4o = Model {
        capabilities: Capabilities::CHAT.and(Capabilities::VISION).and(Capabilities::TOOLS),
        ..model("gpt-4o")
    };
    Table::new(
        vec![
            provider("ollama", 0, vec![model("llama3.2:1b"), model("llama2")]),
            provider("openai", 0, vec![gpt_4o, model("gpt-*"), model("gpt-4*")]),
            provider(
                "openrouter",
                1,
                vec![model("gpt-4o"), model("openai/*"), model("meta/llama")],
            ),
        ],
        vec![
            alias(
                "fast",
                vec![
                    entry("openai", "gpt-4o-mini", 0, 3),
                    entry("ollama", "llama3.2:1b", 0, 1),
                    entry("openai", "gpt-4o", 1, 1),
                ],
            ),
            alias("claude-*", vec![entry("ollama", "llama2", 0, 1)]),
        ],
        &Attempts::default(),
        Some("fast".into()),
    )
}

fn never() -> u64 {
    panic!("asked for a random number without a choice")
}

/// The chain as `provider:model`.
fn chain(table: &Table, asked: &str) -> Vec<String> {
    let chain = table.resolve(asked, Capabilities::NONE, &mut || 0).unwrap();
    chain.iter().map(|e| format!("{}:{}", e.target.provider.name, e.model)).collect()
}

#[test]
fn a_name_is_looked_up_exact_then_with_prefix_then_by_the_longest_wildcard() {
    let table = table();
    for (asked, expected) in [
        ("llama2", &["ollama:llama2"][..]),
        ("gpt-4o", &["openai:gpt-4o", "openrouter:gpt-4o"]),
        ("openai/gpt-4o", &["openai:gpt-4o"]),
        ("openrouter/gpt-4o", &["openrouter:gpt-4o"]),
        ("openai/gpt-5", &["openai:gpt-5"]),
        ("openai/o3", &["openrouter:openai/o3"]),
        ("meta/llama", &["openrouter:meta/llama"]),
        ("openrouter/openai/o3", &["openrouter:openai/o3"]),
        ("gpt-3.5", &["openai:gpt-3.5"]),
        ("claude-opus", &["ollama:llama2"]),
    ] {
        assert_eq!(chain(&table, asked), expected, "{asked}");
    }
}

#[test]
fn labels_are_configured_names_whatever_was_asked() {
    let table = table();
    for (asked, label, target) in [
        ("gpt-4.1", "gpt-4*", "gpt-4*"),
        ("gpt-3", "gpt-*", "gpt-*"),
        ("openai/gpt-4o", "gpt-4o", "gpt-4o"),
        ("fast", "fast", "gpt-4o-mini"),
        ("claude-x", "claude-*", "llama2"),
    ] {
        let chain = table.resolve(asked, Capabilities::NONE, &mut || 0).unwrap();
        assert_eq!((chain.label(), &*chain.first().target.label), (label, target), "{asked}");
    }
    for (i, target) in table.targets().iter().enumerate() {
        assert_eq!(target.index, i);
    }
}

#[test]
fn priorities_come_in_order_and_weights_decide_among_equals() {
    let table = table();
    let first = |ticket: u64| {
        let chain = table.resolve("fast", Capabilities::NONE, &mut || ticket).unwrap();
        assert_eq!(chain.iter().last().unwrap().model, "gpt-4o");
        assert_eq!(chain.len(), 3);
        chain.first().model.to_owned()
    };
    let firsts: Vec<_> = (0..4).map(first).collect();
    assert_eq!(firsts, ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o-mini", "llama3.2:1b"]);
}

#[test]
fn no_random_number_is_asked_for_without_a_choice() {
    let table = table();
    for asked in ["llama2", "gpt-4o", "openai/gpt-9"] {
        assert!(table.resolve(asked, Capabilities::NONE, &mut never).is_ok(), "{asked}");
    }
}

#[test]
fn targets_that_lack_a_capability_are_left_out() {
    let table = table();
    let need = Capabilities::CHAT.and(Capabilities::AUDIO);
    let chain = table.resolve("gpt-4o", need, &mut never).unwrap();
    assert_eq!(&*chain.first().target.provider.name, "openrouter");
    assert_eq!(chain.len(), 1);

    let refusal = table.resolve("openai/gpt-4o", need, &mut never).unwrap_err();
    let error = Error::from(refusal);
    assert_eq!(error.kind, Kind::UnsupportedCapability);
    assert_eq!(error.message, "The model `openai/gpt-4o` does not support: audio");
}

#[test]
fn an_unknown_model_is_named_in_a_message_of_bounded_length() {
    let table = table();
    for (asked, shown) in [
        ("gpt5".to_owned(), "gpt5".to_owned()),
        ("é".repeat(300), format!("{}...", "é".repeat(64))),
        ("nobody/llama2".to_owned(), "nobody/llama2".to_owned()),
        (String::new(), String::new()),
    ] {
        let refusal = table.resolve(&asked, Capabilities::NONE, &mut never).unwrap_err();
        let error = Error::from(refusal);
        assert_eq!(error.kind, Kind::ModelNotFound);
        assert_eq!(error.param.as_deref(), Some("model"));
        assert_eq!(error.message, format!("The model `{shown}` does not exist"));
    }
}

#[test]
fn models_are_listed_in_a_stable_order_without_wildcards() {
    let table = table();
    let listed = |allow: &Allow| {
        table.models(allow).map(|m| format!("{} {}", m.id, m.owned_by)).collect::<Vec<_>>()
    };
    assert_eq!(
        listed(&Allow::Everything),
        [
            "fast openai",
            "gpt-4o openai",
            "llama2 ollama",
            "llama3.2:1b ollama",
            "meta/llama openrouter"
        ]
    );
    let allow = Allow::Only([Pattern::new("llama*")].into());
    assert_eq!(listed(&allow), ["llama2 ollama", "llama3.2:1b ollama"]);
    assert_eq!(table.model("gpt-7", &Allow::Everything).unwrap().owned_by, "openai");
    assert_eq!(table.model("gpt-7", &allow), None);
    assert_eq!(table.model("nope", &Allow::Everything), None);
}

#[test]
fn compatible_providers_have_a_model_with_all_that_is_needed() {
    let table = table();
    let names = |need| table.compatible(need).map(|p| &*p.name).collect::<Vec<_>>();
    assert_eq!(names(Capabilities::VISION), ["ollama", "openai", "openrouter"]);
    let checked = Table::new(
        vec![provider("a", 0, vec![Model { capabilities: Capabilities::CHAT, ..model("m") }])],
        vec![],
        &Attempts::default(),
        None,
    );
    assert_eq!(checked.compatible(Capabilities::EMBEDDING).count(), 0);
}

#[test]
fn a_mapping_lists_all_targets_by_priority() {
    let table = table();
    let mapped: Vec<_> = table.mapping("fast").map(|e| (e.priority, e.model)).collect();
    assert_eq!(mapped, [(0, "gpt-4o-mini"), (0, "llama3.2:1b"), (1, "gpt-4o")]);
    assert_eq!(table.mapping("nope").count(), 0);
}

#[test]
fn everything_reachable_is_reached_by_asking_for_it() {
    let table = table();
    let all: Vec<_> = table.reachable().map(|(name, targets)| (name, targets.count())).collect();
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    for expected in ["fast", "claude-*", "gpt-4*", "openai/gpt-4*", "openrouter/meta/llama"] {
        assert!(names.contains(&expected), "{expected} of {names:?}");
    }
    for (name, targets) in &all {
        assert_eq!(table.mapping(name.as_str()).count(), *targets, "{name:?}");
    }
}

#[test]
fn a_wildcard_with_fewer_stars_comes_before_one_that_covers_it() {
    let models = vec![model("*mini*"), model("mini*")];
    let table = Table::new(vec![provider("p", 0, models)], vec![], &Attempts::default(), None);
    let label = |asked| table.resolve(asked, Capabilities::NONE, &mut never).unwrap().label();
    assert_eq!((label("mini-1"), label("a-mini")), ("mini*", "*mini*"));
}

#[test]
fn weights_are_met_over_many_draws() {
    let table = table();
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    let mini = (0..4000)
        .filter(|_| {
            let chain = table.resolve("fast", Capabilities::NONE, &mut random).unwrap();
            chain.first().model == "gpt-4o-mini"
        })
        .count();
    assert!((2850..3150).contains(&mini), "{mini} of 4000 where 3000 are due");
}

proptest! {
    #[test]
    fn a_chain_is_short_ordered_and_without_repetition(
        entries in prop::collection::vec((0u32..4, 1u32..5), 1..MAX_CHOICES),
        randoms in prop::collection::vec(any::<u64>(), MAX_CHAIN),
    ) {
        let names: Vec<_> = (0..entries.len()).map(|i| format!("m{i}")).collect();
        let table = Table::new(
            vec![provider("p", 0, names.iter().map(|n| model(n)).collect())],
            vec![alias("a", names.iter().zip(&entries).map(|(n, (p, w))| entry("p", n, *p, *w)).collect())],
            &Attempts::default(),
            None,
        );
        let mut randoms = randoms.into_iter();
        let chain = table.resolve("a", Capabilities::NONE, &mut || randoms.next().unwrap()).unwrap();
        prop_assert_eq!(chain.len(), entries.len().min(MAX_CHAIN));
        let tried: Vec<_> = chain.iter().collect();
        prop_assert!(tried.is_sorted_by_key(|e| e.priority));
        let mut due: Vec<_> = entries.iter().map(|(p, _)| *p).collect();
        due.sort_unstable();
        prop_assert!(tried.iter().zip(due).all(|(e, p)| e.priority == p), "a lower priority was skipped");
        let mut models: Vec<_> = tried.iter().map(|e| e.model).collect();
        models.sort_unstable();
        models.dedup();
        prop_assert_eq!(models.len(), chain.len());
    }
}
