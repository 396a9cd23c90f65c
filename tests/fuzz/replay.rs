//! Every seed through its target, in every test run: what fuzzing found once stays found.

#[path = "src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The seeds of all targets, with a target's name each.
fn seeds() -> Vec<(&'static str, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let of = |name: &'static str| {
        let files = fs::read_dir(folder.join(name)).unwrap_or_else(|e| panic!("seeds/{name}: {e}"));
        files.map(move |file| (name, file.unwrap().path())).collect::<Vec<_>>()
    };
    fuzz::TARGETS.iter().flat_map(|(name, _)| of(name)).collect()
}

#[test]
fn every_seed_passes() {
    let failed: Vec<_> = seeds()
        .into_iter()
        .filter(|(name, file)| {
            let data = fs::read(file).unwrap();
            catch_unwind(|| fuzz::run(name, &data)).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// A little of what fuzzing does: each seed cut and changed at many bytes.
#[test]
fn seeds_with_a_fault_pass() {
    for (name, file) in seeds() {
        let data = fs::read(&file).unwrap();
        for at in (0..data.len()).step_by(data.len() / PLACES + 1) {
            let changed = |change: fn(u8) -> u8| {
                let mut changed = data.clone();
                changed[at] = change(changed[at]);
                changed
            };
            let faulty = [
                data[..at].to_vec(),
                changed(|byte| byte ^ 0x80),
                changed(|byte| byte.wrapping_add(1)),
                changed(|_| b'"'),
            ];
            for input in faulty {
                let passed = catch_unwind(|| fuzz::run(name, &input)).is_ok();
                let shown = String::from_utf8_lossy(&input);
                assert!(passed, "{name}, {}, byte {at}: {shown:?}", file.display());
            }
        }
    }
}

#[test]
fn every_target_is_a_binary_of_its_own() {
    let manifest = include_str!("Cargo.toml");
    for (name, _) in fuzz::TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

/// In each seed, at most.
const PLACES: usize = 150;
