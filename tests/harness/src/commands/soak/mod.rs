//! `cargo xtask soak`: the gateway beside a bare Envoy, for hours: the same requests to both at the
//! same time, providers that break in every way, an upstream that dies and comes back, and a new
//! configuration every ten seconds. What the gateway loses and the bare Envoy keeps is lost.

mod traffic;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use traffic::{Counts, Dice, pair};
use world::World;

/// Run the gateway beside a bare Envoy with hostile providers, reloads and an upstream that dies, and
/// count what is lost
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Clients that send one request after the other
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Other requests with another one
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let world = World::start()?;
    let counts = Mutex::new(Counts::default());
    let stop = AtomicBool::new(false);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut memory = vec![world.memory()?];
    let events = thread::scope(|scope| {
        let client = |number: u16| {
            let mut dice = Dice::new(args.seed.wrapping_mul(1000).wrapping_add(number.into()));
            while !stop.load(Ordering::Relaxed) {
                let counted = pair(&world, &mut dice);
                counts.lock().unwrap_or_else(|broken| broken.into_inner()).add(counted);
            }
        };
        for number in 0..args.clients {
            scope.spawn(move || client(number));
        }
        let events = scope.spawn(|| world.disturb(&stop));
        let mut told = Instant::now();
        while Instant::now() < end && !events.is_finished() {
            thread::sleep(Duration::from_secs(1));
            memory.extend(world.memory());
            if told.elapsed() > Duration::from_secs(30) {
                told = Instant::now();
                println!("{}", counts.lock().unwrap_or_else(|broken| broken.into_inner()));
            }
        }
        stop.store(true, Ordering::Relaxed);
        events.join().unwrap_or_else(|_| bail!("what disturbs ended with a panic"))
    })?;
    let counts = counts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!("{counts}");
    for example in &counts.examples {
        println!("  {example}");
    }
    let reloads = world.vm_reloads()?;
    let passed = counts.lost == 0 && reloads == 0 && counts.pairs > 0;
    let figure = |at: usize| {
        let of = |memory: &[f64; 2]| memory[at];
        let first = memory.first().map_or(0.0, of);
        let last = memory.last().map_or(0.0, of);
        let most = memory.iter().map(of).fold(0.0, f64::max);
        format!("{first:.0} -> {last:.0} MiB, at most {most:.0}")
    };
    println!(
        "soak: {} s, {} pairs of requests ({} hostile), {} new configurations, {} deaths of an upstream: {} lost that a bare Envoy kept, {} the other way round (while an upstream was away, by chance: {} and {}), {reloads} VM reloads; RSS of the gateway {}, of the bare Envoy {}: {}",
        args.seconds,
        counts.pairs,
        counts.hostile,
        events.configurations,
        events.deaths,
        counts.lost,
        counts.kept,
        counts.away[0],
        counts.away[1],
        figure(0),
        figure(1),
        if passed { "passed" } else { "failed" },
    );
    if !passed {
        bail!(
            "the gateway lost what a bare Envoy kept, or its VM was reloaded: see {}",
            world.logs()
        );
    }
    Ok(())
}
