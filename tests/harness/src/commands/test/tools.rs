//! Everything that tests need, fetched before anything is built, and what is skipped without it.

use std::path::PathBuf;
use std::thread;

use anyhow::{Error, Result, bail};

use crate::tools::{
    CHROMIUM, Debian, LLAMA, NODE_SDKS, NODE_SERVERS, PROMETHEUS, PYTHON_SDKS, PYTHON_SERVERS,
    Packages, REDIS, SMOLLM2, WEBDIS, debian, envoy, node, python,
};

/// Tests that cannot run here.
#[derive(Clone, Debug)]
pub(super) struct Skip {
    what: String,
    why: String,
    tests: Vec<&'static str>,
}

impl Skip {
    /// A stage of the run.
    pub(super) fn of_stage(what: String, why: String) -> Self {
        Self { what, why, tests: Vec::new() }
    }

    /// What has the test programs leave them out.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.tests.iter().flat_map(|name| ["--skip", name])
    }
}

/// For the line with the counts: what was skipped, and why.
pub(super) fn reasons(skips: &[Skip]) -> String {
    if skips.is_empty() {
        return String::new();
    }
    let all: Vec<_> = skips
        .iter()
        .map(|skip| match &skip.tests[..] {
            [] => format!("{}: {}", skip.what, skip.why),
            tests => format!("{}: {} [{}]", skip.what, skip.why, tests.join(", ")),
        })
        .collect();
    format!(" ({})", all.join("; ").replace('\n', " "))
}

/// A program that not every machine can get, and the tests that need it.
struct Optional {
    tool: Debian,
    get: fn() -> Result<()>,
    tests: &'static [&'static str],
}

const OPTIONAL: [Optional; 4] = [
    Optional {
        tool: CHROMIUM,
        get: || debian::chromium().map(drop),
        tests: &["page::the_page_shows_what_the_stats_say", "page::percentiles_are_those_of_envoy"],
    },
    Optional {
        tool: PROMETHEUS,
        get: || debian::prometheus("promtool").map(drop),
        tests: &[
            "prometheus::every_query_of_dashboard_and_rules_returns_data",
            "promtool_accepts_the_rules_and_their_tests_pass",
        ],
    },
    Optional {
        tool: REDIS,
        get: || debian::redis_server().map(drop),
        tests: &["cache::fleet::", "recipes::cache::", "recipes::ratelimit::"],
    },
    Optional {
        tool: WEBDIS,
        get: || debian::webdis().map(drop),
        tests: &["cache::fleet::", "recipes::cache::"],
    },
];

/// Each source in its own thread: they do not wait for each other's network.
pub(super) fn fetch() -> Result<Vec<Skip>> {
    let (errors, skips) = thread::scope(|scope| {
        let wheels = scope.spawn(|| {
            let node = || fetch_all(&[NODE_SDKS, NODE_SERVERS], node::fetch_packages);
            let model = || [LLAMA, SMOLLM2].iter().try_for_each(|w| python::fetch(w).map(drop));
            [envoy::find().map(drop), node(), model()]
        });
        let python =
            scope.spawn(|| fetch_all(&[PYTHON_SDKS, PYTHON_SERVERS], python::fetch_packages));
        let debian = scope.spawn(|| OPTIONAL.iter().filter_map(optional).collect::<Vec<_>>());
        let mut all: Vec<_> = wheels.join().map(Vec::from).unwrap_or_default();
        all.extend(python.join().ok());
        let errors: Vec<Error> = all.into_iter().filter_map(Result::err).collect();
        (errors, debian.join().unwrap_or_default())
    });
    if !errors.is_empty() {
        let lines: Vec<_> = errors.iter().map(|error| format!("  {error:#}")).collect();
        bail!("not everything could be fetched:\n{}", lines.join("\n"));
    }
    for skip in &skips {
        println!("== skipped: {}: {}", skip.tests.join(", "), skip.why);
    }
    Ok(skips)
}

fn fetch_all(all: &[Packages], fetch: fn(&Packages) -> Result<PathBuf>) -> Result<()> {
    all.iter().try_for_each(|packages| fetch(packages).map(drop))
}

fn optional(wanted: &Optional) -> Option<Skip> {
    let why = format!("{:#}", (wanted.get)().err()?);
    Some(Skip { what: wanted.tool.name.into(), why, tests: wanted.tests.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::root;

    fn sources(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|end| end.to_str()) {
                None if path.is_dir() => sources(&path, text),
                Some("rs") => {
                    text.push_str(&format!("// {}\n", path.display()));
                    text.push_str(&fs::read_to_string(path).unwrap());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_test_that_may_be_skipped_exists() {
        let mut text = String::new();
        sources(&root().join("tests/e2e"), &mut text);
        sources(&root().join("tests/harness/tests"), &mut text);
        for name in OPTIONAL.iter().flat_map(|optional| optional.tests) {
            let exists = match name.strip_suffix("::") {
                Some(module) => text.contains(&format!("{}.rs\n", module.replace("::", "/"))),
                None => text.contains(&format!("fn {}()", name.rsplit("::").next().unwrap())),
            };
            assert!(exists, "{name}");
        }
    }

    #[test]
    fn the_last_line_says_what_was_skipped_and_why() {
        let lints = Skip::of_stage("lints".into(), "no\nclippy".into());
        let page = Skip { what: "Chromium".into(), why: "no Debian".into(), tests: vec!["page::"] };
        assert_eq!(reasons(&[]), "");
        let all = reasons(&[lints, page.clone()]);
        assert_eq!(all, " (lints: no clippy; Chromium: no Debian [page::])");
        assert_eq!(page.arguments().collect::<Vec<_>>(), ["--skip", "page::"]);
    }
}
