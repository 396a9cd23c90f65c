//! What a bench prints and writes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures::Samples;

/// Printed as it grows, written as JSON at the end.
#[derive(Debug, Default)]
pub(super) struct Report {
    parts: serde_json::Map<String, Value>,
    aims: Vec<Aim>,
}

/// What a figure should be.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    what: String,
    got: f64,
    bound: Bound,
    unit: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub(super) fn add(&mut self, part: &str, figures: Value) {
        self.parts.insert(part.to_owned(), figures);
    }

    pub(super) fn aim(
        &mut self,
        what: impl Into<String>,
        got: f64,
        bound: Bound,
        unit: &'static str,
    ) {
        let aim = Aim { what: what.into(), got, bound, unit };
        println!("  {}", aim.line());
        self.aims.push(aim);
    }

    /// All aims again, which is what most readers want.
    pub(super) fn print_aims(&self) {
        println!("\nAims");
        for aim in &self.aims {
            println!("  {}", aim.line());
        }
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let mut all = self.parts.clone();
        all.insert("aims".to_owned(), self.aims.iter().map(Aim::to_json).collect());
        fs::write(file, format!("{:#}\n", Value::from(all)))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Aim {
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(limit) => self.got <= limit,
            Bound::AtLeast(limit) => self.got >= limit,
        }
    }

    fn line(&self) -> String {
        let (word, limit) = match self.bound {
            Bound::AtMost(limit) => ("at most", limit),
            Bound::AtLeast(limit) => ("at least", limit),
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let met = if self.is_met() { "met" } else { "NOT met" };
        format!("aim: {}: {word} {limit}{unit}; got {:.2}{unit}: {met}", self.what, self.got)
    }

    fn to_json(&self) -> Value {
        let (at, limit) = match self.bound {
            Bound::AtMost(limit) => ("at_most", limit),
            Bound::AtLeast(limit) => ("at_least", limit),
        };
        json!({ "what": self.what, at: limit, "got": self.got, "unit": self.unit, "met": self.is_met() })
    }
}

/// `1.31 (1.27-1.36)`: the median, and between which values the rounds were.
pub(super) fn spread(samples: &Samples, decimals: usize) -> String {
    let (median, min, max) = (samples.median(), samples.min(), samples.max());
    format!("{median:.decimals$} ({min:.decimals$}-{max:.decimals$})")
}

/// Columns as wide as what they hold; the first to the left, numbers to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match index {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_says_whether_it_was_met() {
        let mut report = Report::default();
        report.aim("CPU", 1.36, Bound::AtMost(1.35), "x");
        report.aim("rate", 0.8, Bound::AtLeast(0.75), "");
        assert_eq!(report.aims[0].line(), "aim: CPU: at most 1.35 x; got 1.36 x: NOT met");
        assert_eq!(report.aims[1].line(), "aim: rate: at least 0.75; got 0.80: met");
        assert!(!Aim { got: f64::NAN, ..report.aims[0].clone() }.is_met());
    }

    #[test]
    fn numbers_stand_under_each_other() {
        let rows = [vec!["name".into(), "us".into()], vec!["a".into(), "1234".into()]];
        assert_eq!(table(&rows), "  name    us\n  a     1234\n");
    }
}
