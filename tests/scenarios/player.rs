//! Plays a case: a process with its workers, step by step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use llm_gateway::config::{Gateway, Provider};
use llm_gateway::host::SharedStore;
use llm_gateway::host::fake::Fake;
use llm_gateway::{attempt, exchange};
use serde_json::Value;

use crate::file::{Case, File, Step};
use crate::parts::{Cut, body};
use crate::worker::Worker;

/// Plays the case, with every cut of its answer if it asks for that.
pub(crate) fn play(file: &File, case: &Case) -> Result<(), String> {
    let cut = |step: &Step| {
        let answers = step.attempts.iter().filter_map(|attempt| attempt.answer.as_ref());
        let mut answers = answers.chain(&step.answer).filter(|answer| answer.cut_everywhere);
        answers.next().map(|answer| body(&answer.body, &answer.chunks).concat().len())
    };
    play_once(file, case, Cut::AsWritten)?;
    let Some(length) = case.steps.iter().find_map(cut) else { return Ok(()) };
    let cuts = (1..length).map(Cut::At).chain([Cut::EachByte]);
    cuts.into_iter().try_for_each(|cut| {
        play_once(file, case, cut).map_err(|why| format!("answer cut {cut:?}: {why}"))
    })
}

fn play_once(file: &File, case: &Case, cut: Cut) -> Result<(), String> {
    let mut process = Process::new(file, case)?;
    let mut worker = 0;
    for (number, step) in case.steps.iter().enumerate() {
        worker = step.worker.unwrap_or(worker);
        process
            .worker(worker)
            .and_then(|worker| worker.step(step, cut))
            .map_err(|why| format!("step {}: {why}", number + 1))?;
    }
    process.workers.iter_mut().try_for_each(Worker::finish)?;
    process.check_leases()
}

/// One Envoy.
pub(crate) struct Process {
    gateway: Vec<u8>,
    clusters: BTreeMap<String, Vec<u8>>,
    env: BTreeMap<String, String>,
    second_level: SecondLevel,
    workers: Vec<Worker>,
}

/// What the cache's second level was given, by key.
pub(crate) type SecondLevel = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

impl Process {
    pub(crate) fn new(file: &File, case: &Case) -> Result<Self, String> {
        let merged = |shared: &BTreeMap<String, Value>, own: &BTreeMap<String, Value>| {
            let mut all = shared.clone();
            all.extend(own.clone());
            all.retain(|_, section| !section.is_null());
            all
        };
        let clusters = merged(&file.clusters, &case.clusters).into_iter();
        let mut process = Self {
            gateway: serde_json::to_vec(&merged(&file.gateway, &case.gateway)).unwrap(),
            clusters: clusters.map(|(name, config)| (name, config.to_string().into())).collect(),
            env: file.env.clone(),
            second_level: SecondLevel::default(),
            workers: Vec::new(),
        };
        process.worker(0).map(drop)?;
        Ok(process)
    }

    pub(crate) fn worker(&mut self, number: usize) -> Result<&mut Worker, String> {
        while self.workers.len() <= number {
            let host = self.workers.first().map_or_else(Fake::new, |first| first.host.worker());
            let config = Gateway::from_bytes(&self.gateway).map_err(|why| why.to_string())?;
            let service = exchange::Service::open(config, &host).map_err(|why| why.to_string())?;
            let mut clusters = BTreeMap::new();
            for (cluster, config) in &self.clusters {
                let provider = Provider::from_bytes(config, &|name| self.env.get(name).cloned())
                    .map_err(|why| format!("cluster {cluster}: {why}"))?;
                clusters.insert(cluster.clone(), attempt::Service::new(provider, service.ledger()));
            }
            self.workers.push(Worker::new(host, service, clusters, self.second_level.clone()));
        }
        Ok(&mut self.workers[number])
    }

    /// When all is over, nobody waits for an answer that nobody brings.
    fn check_leases(&self) -> Result<(), String> {
        match running_leases(&self.workers[0].host) {
            0 => Ok(()),
            _ => Err("a lease was left behind".to_owned()),
        }
    }
}

/// Answers that others wait for.
pub(crate) fn running_leases(host: &Fake) -> usize {
    let is_running = |key: &Vec<u8>| {
        let value = host.load(key).unwrap().value.unwrap_or_default();
        key.starts_with(b"llm-cache:v1:f") && value.first() == Some(&RUNNING)
    };
    host.shared_keys().iter().filter(|key| is_running(key)).count()
}

/// What the value of a lease begins with while its holder is on its way.
const RUNNING: u8 = 1;
