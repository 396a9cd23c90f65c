//! `cargo xtask`: the developer command.

fn main() -> anyhow::Result<()> {
    anyhow::bail!("no command yet")
}
