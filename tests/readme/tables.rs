//! Errors, caps, headers, filter state, metrics and the cache's reasons.

use std::collections::BTreeSet;

use llm_gateway::cache::policy::Skip;
use llm_gateway::cache::shadow::Comparison;
use llm_gateway::cache::table::OVERHEAD_BYTES;
use llm_gateway::cache::webdis::Fault;
use llm_gateway::error::Kind;
use llm_gateway::host::MetricKind;
use llm_gateway::limit::DEFAULT_SLOTS;
use llm_gateway::metrics::table::{LABELS, METRICS};

use crate::markdown::{columns, compare, plain, section, table, ticked};
use crate::source::{constant, files, literals, value};

#[test]
fn every_error_is_in_the_readme() {
    let expected: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| {
            let row = kind.row();
            let status = row.status.to_string();
            [
                &format!("{kind:?}"),
                &status,
                row.openai_type,
                row.code,
                row.anthropic_type,
                row.gemini_status,
                row.label,
            ]
            .map(|cell| if cell == status { cell.to_owned() } else { format!("`{cell}`") })
            .to_vec()
        })
        .collect();
    let found = columns(&table("## Errors", "kind"), &[0, 1, 2, 3, 4, 5, 6]);
    compare("errors", &found, &expected);
}

/// A kind that nobody listed would be missing in the README and in the metrics.
#[test]
fn every_kind_of_error_is_listed() {
    let text = crate::markdown::read("src/error.rs");
    let (_, body) = text.split_once("pub enum Kind {").unwrap();
    let body = body.split('}').next().unwrap();
    let names: Vec<_> = body.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    assert_eq!(names, Kind::ALL.map(|kind| format!("{kind:?}")));
}

#[test]
fn caps_are_what_the_code_says() {
    for row in table("## Caps", "what") {
        let [what, cap, _, place] = row.as_slice() else { panic!("{row:?}") };
        let (name, file) = place.split_once(" in ").unwrap_or_else(|| panic!("{what}: {place}"));
        let set = value(&constant(plain(file), plain(name)));
        assert_eq!(amount(cap), set, "{what}");
    }
}

/// Whoever sets a new cap tells people.
#[test]
fn every_cap_is_in_the_readme() {
    let rows = table("## Caps", "what");
    let told: BTreeSet<_> = rows.iter().map(|row| row[3].replace('`', "")).collect();
    let mut missing = Vec::new();
    for (file, text) in files() {
        // The tables of the configuration have theirs, and what a provider takes is its own affair.
        if file.starts_with("src/config/") || file.contains("_to_") {
            continue;
        }
        for line in text.lines().filter(|line| line.contains("const MAX_")) {
            let name = line.split("const ").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
            let place = format!("{name} in {file}");
            if !told.contains(&place) && !NO_CAP.contains(&place.as_str()) {
                missing.push(place);
            }
        }
    }
    assert!(missing.is_empty(), "neither in the README's caps nor in NO_CAP: {missing:#?}");
}

/// Bounds of arithmetic, and what a cap that is told of follows from.
const NO_CAP: [&str; 18] = [
    "MAX_UNITS in src/limit/gcra.rs",
    "MAX_WINDOW in src/limit/gcra.rs",
    "MAX_BURST_RATIO in src/limit/gcra.rs",
    "MAX_UNTOLD in src/protocol/usage/report.rs",
    "MAX_USD_PER_MILLION in src/price.rs",
    "MAX_CHOICES in src/routing/chain.rs",
    "MAX_EXPONENT in src/cache/canonical.rs",
    "MAX_MOVES in src/cache/canonical.rs",
    "MAX_DEPTH in src/cache/canonical.rs",
    "MAX_SKEW_MS in src/cache/record.rs",
    "MAX_TTL_MS in src/cache/webdis.rs",
    "MAX_RANDOM in src/host/wasm.rs",
    "MAX_ERROR in src/translate/answer.rs",
    "MAX_BOUNDARY_BYTES in src/protocol/multipart.rs",
    "MAX_SHOWN_PATH in src/exchange/gate.rs",
    "MAX_PEEK in src/exchange/request.rs",
    "MAX_DECODINGS in src/protocol/path.rs",
    "MAX_WORKERS in src/held.rs",
];

/// `4 MiB by default`, `127`, `30 s`
fn amount(cap: &str) -> u64 {
    let mut words = cap.split_whitespace();
    let number: u64 = words.next().unwrap().parse().unwrap();
    match words.next() {
        Some("MiB") => number << 20,
        Some("KiB") => number << 10,
        _ => number,
    }
}

#[test]
fn sizes_are_what_the_code_says() {
    let sizing = section("### Sizing");
    let ways = value(&constant("src/limit/table.rs", "WAYS"));
    let slot = 8 + 40 * ways;
    let limits = u64::from(DEFAULT_SLOTS.get()) * (slot + 17 + 130) / 1_000_000;
    let entries = value(&constant("src/config/cache.rs", "DEFAULT_ENTRIES"));
    let bytes = value(&constant("src/config/cache.rs", "DEFAULT_ENTRY_BYTES"));
    let cache = (entries * (bytes + OVERHEAD_BYTES)) >> 20;
    let flights = value(&constant("src/cache/mod.rs", "FLIGHTS"));
    for says in [
        format!("({slot} + 17 + some 130): {limits} MB by default"),
        format!("(`max_entry_bytes` + {OVERHEAD_BYTES}): {cache} MiB by default"),
        format!("{flights} places"),
        format!("{} MiB |", value(&constant("src/translate/answer.rs", "MAX_ANSWER")) >> 20),
        format!("{} MiB |", value(&constant("src/protocol/sse.rs", "MAX_FRAME")) >> 20),
    ] {
        assert!(sizing.contains(&says), "not in the README: {says}");
    }
}

#[test]
fn every_header_is_in_the_readme() {
    let told: BTreeSet<_> = ticked(&section("## Headers")).into_iter().collect();
    let told: BTreeSet<_> = told.into_iter().filter(|word| is_header(word)).collect();
    let mut used = BTreeSet::new();
    for (file, text) in files() {
        let about = ["src/exchange/", "src/attempt/", "src/identity/", "src/limit/headers.rs"];
        if about.iter().any(|part| file.starts_with(part)) || file == "src/handoff.rs" {
            used.extend(literals(&text).into_iter().filter(|word| is_header(word)));
        }
    }
    // Those that end here are too many for people; what the README tells of them is true.
    let ended = literals(&crate::markdown::read("src/protocol/hygiene.rs"));
    let missing: Vec<_> = used.difference(&told).collect();
    let gone: Vec<_> = told.difference(&used).filter(|word| !ended.contains(word)).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing {missing:?}, gone {gone:?}");
}

fn is_header(word: &str) -> bool {
    let letters = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let known = ["x-", "anthropic-", "openai-", "content-", "accept-", "cache-", "retry-"];
    let alone = ["age", "warning", "authorization", "api-key", "request-id", "apim-request-id"];
    let whole = !word.ends_with('-') && word.contains('-');
    letters && (alone.contains(&word) || whole && known.iter().any(|head| word.starts_with(head)))
}

#[test]
fn every_filter_state_is_in_the_readme() {
    let rows = table("### For the access log and other filters", "name");
    let found: BTreeSet<_> = rows.iter().map(|row| plain(&row[0]).to_owned()).collect();
    assert_eq!(found.len(), rows.len());
    let mut expected = BTreeSet::new();
    for (_, text) in files().into_iter().filter(|(file, _)| STATE_FILES.contains(&file.as_str())) {
        expected.extend(literals(&text).into_iter().filter(|word| word.starts_with("llm_")));
    }
    assert_eq!(found, expected);
    let log = crate::markdown::read("envoy/envoy.yaml");
    for name in found.iter().filter(|name| !INTERNAL.contains(&name.as_str())) {
        assert!(
            log.contains(&format!("%FILTER_STATE(wasm.{name}:PLAIN)%")),
            "{name} is not logged"
        );
    }
}

#[test]
fn attributes_of_spans_are_those_of_the_recipe() {
    let recipe = crate::markdown::read("envoy/otel.yaml");
    let tags = recipe.lines().filter_map(|line| {
        let (tag, rest) = line.trim().strip_prefix("- {tag: ")?.split_once(", value: ")?;
        let (_, name) = rest.split_once("FILTER_STATE(wasm.")?;
        Some((name.split(':').next()?.to_owned(), format!("`{tag}`")))
    });
    let rows = table("### For the access log and other filters", "name");
    let told = rows.iter().filter(|row| !row[2].is_empty());
    let told = told.map(|row| (plain(&row[0]).to_owned(), row[2].clone()));
    assert_eq!(told.collect::<BTreeSet<_>>(), tags.collect::<BTreeSet<_>>());
}

const STATE_FILES: [&str; 2] = ["src/exchange/settle.rs", "src/handoff.rs"];
const INTERNAL: [&str; 6] =
    ["llm_cluster", "llm_chain", "llm_original", "llm_credential", "llm_forwarded", "llm_refused"];

#[test]
fn every_metric_is_in_the_readme() {
    let list = |words: &[&str]| {
        words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    let otel = |name: Option<&str>| name.map_or(String::new(), |name| format!("`{name}`"));
    let kind = |kind| match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let metric = |metric: &llm_gateway::metrics::table::Metric| {
        vec![
            format!("`{}`", metric.name),
            kind(metric.kind).to_owned(),
            list(metric.labels),
            metric.help.to_owned(),
            otel(metric.otel),
        ]
    };
    let expected: Vec<_> = METRICS.iter().map(metric).collect();
    compare("metrics", &table("## Metrics", "metric"), &expected);
    let label = |label: &llm_gateway::metrics::table::Label| {
        vec![format!("`{}`", label.name), label.values.to_owned(), otel(label.otel)]
    };
    let expected: Vec<_> = LABELS.iter().map(label).collect();
    compare("labels", &table("## Metrics", "label"), &expected);
}

#[test]
fn the_bound_of_series_is_the_registrys() {
    let documentation = crate::markdown::read("src/metrics/registry.rs");
    let readme = section("## Metrics");
    for formula in ["8 T + 6 P + C + R + S + 27", "8 x 34 x (T + 1)", "P x P"] {
        assert!(documentation.contains(formula), "the registry's documentation: {formula}");
        assert!(readme.contains(formula), "the README: {formula}");
    }
}

#[test]
fn every_reason_of_the_cache_is_in_the_readme() {
    let skips = Skip::ALL.iter().map(|skip| skip.label().to_owned());
    let faults = Fault::ALL.iter().map(|fault| format!("backend_{}", fault.label()));
    let shadows = Comparison::ALL.iter().map(|same| format!("shadow_{}", same.label()));
    let all = skips.chain(faults).chain(shadows);
    let expected: Vec<_> = all.map(|reason| vec![format!("`{reason}`")]).collect();
    compare("reasons", &columns(&table("## Cache", "reason"), &[0]), &expected);
}
