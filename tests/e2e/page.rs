//! The page for people, in a real browser.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::tools::debian;
use harness::{http, shell, target_dir};

use crate::observed::{MARKUP, Observed, Round};

#[test]
fn the_page_shows_what_the_stats_say() {
    let observed = Observed::start();
    let empty = Page::open(&observed, "").unwrap();
    assert_eq!(empty.text("requests-value"), "0");
    assert!(empty.text("note").starts_with("No requests yet"), "{}", empty.text("note"));

    observed.work(Round::First);
    let page = Page::open(&observed, "").unwrap();
    assert_eq!(page.text("live"), "live");
    assert_eq!(page.text("note"), "", "the page has something to complain about");

    let count = |metric: &str, labels: &[&str]| number(observed.sum(metric, labels));
    let requests = observed.sum("llm_requests_total", &[]);
    let failed: u64 = ["400", "404", "429", "500", "502", "503", "504"]
        .iter()
        .map(|code| observed.sum("llm_requests_total", &[&format!("code={code}")]))
        .sum();
    assert!(requests >= 20 && failed >= 3);
    assert_eq!(page.text("requests-value"), number(requests));
    let limited = count("llm_rate_limited_total", &["mode=enforce"]);
    assert_eq!(page.text("errors-sub"), format!("{failed} of {requests}, {limited} over a limit"));
    let input = observed.sum("llm_tokens_total", &["type=input"]);
    let output = observed.sum("llm_tokens_total", &["type=output"]);
    assert_eq!(page.text("tokens-value"), number(input + output));
    assert_eq!(page.text("tokens-sub"), format!("{} in, {} out", number(input), number(output)));
    assert_eq!(page.text("cost-value"), dollars(observed.sum("llm_cost_microusd_total", &[])));

    for model in ["sim-model", "sim-small", "sim-embedding", MARKUP] {
        let model_label = format!("model={model}");
        let labels = &["provider=local", &model_label][..];
        let row = page.row("models", &format!("{model} · local")).unwrap();
        let of = |kind: &str| count("llm_tokens_total", &[labels, &[kind]].concat());
        assert_eq!(row[1], count("llm_requests_total", labels), "{model}");
        assert_eq!(row[7..9], [of("type=input"), of("type=output")], "{model}");
        assert_eq!(row[9], dollars(observed.sum("llm_cost_microusd_total", labels)), "{model}");
    }
    let unrouted = count("llm_requests_total", &["provider=other"]);
    assert_eq!(page.row("models", "not routed").unwrap()[1], unrouted);

    let provider = page.row("providers", "local").unwrap();
    assert_eq!(provider[1], count("llm_requests_total", &["provider=local"]));
    for (column, metric) in [
        (7, "llm_provider_rests_total"),
        (8, "llm_provider_auth_failures_total"),
        (9, "llm_streams_cut_total"),
    ] {
        assert_eq!(provider[column], count(metric, &["provider=local"]), "{metric}");
    }
    assert_eq!(provider[9], "1");

    let lookups: u64 = ["hit", "miss", "joined"]
        .iter()
        .map(|r| observed.sum("llm_cache_total", &[&format!("result={r}")]))
        .sum();
    assert_eq!(page.text("hits-sub"), format!("1 of {lookups} lookups"));
    let cache = page.text("cache");
    for part in ["hit 1", "bypass 1", "no store 1"] {
        assert!(cache.contains(part), "{part}: {cache}");
    }

    let kinds: Vec<_> = observed.stats();
    let kinds = kinds.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix("llm_errors_total.kind=")?.replace('_', " "), *value))
    });
    let errors = page.text("errors");
    for (kind, value) in kinds {
        assert_eq!(errors.contains(&format!("{kind} {value}")), value > 0, "{kind}: {errors}");
    }
    assert!(page.text("limits").contains("one-each requests 1"), "{}", page.text("limits"));
    assert!(page.text("failovers").contains("gone → local 1"), "{}", page.text("failovers"));
    for name in ["web-app", "ci"] {
        let tokens = count("llm_consumer_tokens_total", &[&format!("consumer={name}")]);
        let shown = page.text("consumers");
        assert!(shown.contains(&format!("{name} {tokens} tokens")), "{shown}");
    }
}

#[test]
fn percentiles_are_those_of_envoy() {
    let observed = Observed::start();
    observed.work(Round::First);
    let page = Page::open(&observed, "").unwrap();
    let row = page.row("models", "sim-model · local").unwrap();
    let labels = "provider=local;model=sim-model";
    for (shown, histogram, percent) in [
        (&row[3], "llm_request_duration_ms", 50.0),
        (&row[4], "llm_request_duration_ms", 95.0),
        (&row[5], "llm_time_to_first_token_ms", 50.0),
    ] {
        let envoy = observed.percentile(&format!("{histogram}.{labels}"), percent).unwrap();
        let page = milliseconds(shown).unwrap();
        // Both interpolate within a bin of Envoy's histogram, which is a tenth of its value wide.
        let off = (page - envoy).abs();
        assert!(off <= 0.1 * envoy.max(page) + 1.0, "{histogram} {percent}: {shown}, {envoy}");
    }
}

#[test]
fn the_page_opens_nothing_of_the_admin_interface_but_its_own_question() {
    let observed = Observed::start();
    let url = observed.envoy.url("page").unwrap();
    let page = http::get(&format!("{url}/llm")).unwrap();
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let text = page.text();
    let question = text.split('"').find(|part| part.starts_with("/stats?")).unwrap();

    let stats = http::get(&format!("{url}{question}")).unwrap();
    assert_eq!(stats.status, 200);
    for stat in stats.json().unwrap()["stats"].as_array().unwrap() {
        let name = stat["name"].as_str().unwrap_or("wasmcustom.llm_");
        let known = ["wasmcustom.llm_", "server.uptime", "http.gateway.downstream_rq_active"];
        assert!(known.iter().any(|known| name.starts_with(known)), "{name}");
    }
    // Any other question about the stats is answered like this one.
    for other in ["/stats", "/stats?format=json", "/stats?filter=.*", "/"] {
        assert_eq!(http::get(&format!("{url}{other}")).unwrap().status, 200, "{other}");
    }
    assert_eq!(http::post(&format!("{url}{question}"), &[], b"").unwrap().status, 200);
    for path in [
        "/quitquitquit",
        "/config_dump",
        "/certs",
        "/clusters",
        "/logging?level=trace",
        "/stats/prometheus",
        "/stats/recentlookups",
        "/reset_counters",
        "/stats/../config_dump",
        "/stats%2f..%2fconfig_dump",
        "/stats;/config_dump",
        "//config_dump",
        "/llm/../config_dump",
        "/%63onfig_dump",
    ] {
        for answer in
            [http::get(&format!("{url}{path}")), http::post(&format!("{url}{path}"), &[], b"")]
        {
            assert_eq!(answer.unwrap().status, 404, "{path}");
        }
    }
    assert!(observed.envoy.admin().is_ready());
}

/// What a browser has made of the page after a few polls.
struct Page(String);

impl Page {
    fn open(observed: &Observed, fragment: &str) -> Result<Self> {
        let profile = target_dir().join("e2e").join(format!("chromium-{}", observed.envoy.pid()));
        let url = format!("{}/llm{fragment}", observed.envoy.url("page")?);
        let output = profile.with_extension("html");
        std::fs::create_dir_all(&profile)?;
        let mut chromium = debian::chromium()?;
        chromium
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--no-proxy-server", "--disable-breakpad"])
            .args(["--virtual-time-budget=5000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            // The home may not be writable.
            .env("HOME", &profile)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&output)?)
            .stderr(Stdio::null());
        let ended = shell::run_within(chromium, Duration::from_secs(60))?;
        if !ended.is_some_and(|status| status.success()) {
            bail!("Chromium gave no page: {ended:?}");
        }
        std::fs::remove_dir_all(profile)?;
        Ok(Self(std::fs::read_to_string(output)?))
    }

    /// The text of the element with that id, without white space around it.
    fn text(&self, id: &str) -> String {
        self.inner(id).map(|inner| plain(inner).trim().to_owned()).unwrap_or_default()
    }

    /// The cells of the row whose first cell reads `first`.
    fn row(&self, table: &str, first: &str) -> Result<Vec<String>> {
        let body = self.inner(table).context("no such table")?;
        let rows = body.split("<tr>").skip(2);
        let cells = |row: &str| {
            row.split("<td")
                .skip(1)
                .map(|cell| plain(&format!("<td{cell}")).trim().to_owned())
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = rows.map(cells).collect();
        let found = all.iter().find(|cells| cells.first().is_some_and(|cell| cell == first));
        found.cloned().with_context(|| format!("no row {first:?} in {all:?}"))
    }

    /// What stands between the tags of an element.
    fn inner(&self, id: &str) -> Option<&str> {
        let (before, rest) = self.0.split_once(&format!("id=\"{id}\""))?;
        let name = before.rsplit('<').next()?.split_whitespace().next()?;
        let (_, rest) = rest.split_once('>')?;
        let (open, close) = (format!("<{name}"), format!("</{name}>"));
        let mut depth = 1;
        let mut at = 0;
        while depth > 0 {
            let end = at + rest[at..].find(&close)?;
            depth += rest[at..end].matches(&open).count();
            depth -= 1;
            at = end + close.len();
        }
        Some(&rest[..at - close.len()])
    }
}

/// Text as it is read: a tag separates words.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        // An attribute may hold the sign that ends a tag, but only within quotes.
        let mut quoted = false;
        let end = tag.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        rest = end.map_or("", |end| &tag[end + 1..]);
    }
    text.push_str(rest);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (entity, sign)| text.replace(entity, sign))
}

/// As the page writes counts below 100,000.
fn number(value: u64) -> String {
    assert!(value < 100_000, "the workload is meant to be small");
    let digits = value.to_string();
    match digits.len() {
        0..=3 => digits,
        len => format!("{},{}", &digits[..len - 3], &digits[len - 3..]),
    }
}

fn dollars(microusd: u64) -> String {
    if microusd == 0 { "$0".into() } else { format!("${:.4}", microusd as f64 / 1e6) }
}

fn milliseconds(shown: &str) -> Result<f64> {
    let (value, unit) = shown.rsplit_once(' ').with_context(|| format!("{shown:?}"))?;
    let value: f64 = value.trim_start_matches("< ").parse()?;
    match unit {
        "ms" => Ok(value),
        "s" => Ok(value * 1000.0),
        _ => bail!("unknown unit in {shown:?}"),
    }
}
