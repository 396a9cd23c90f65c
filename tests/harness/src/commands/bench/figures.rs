//! What many measurements say together.

use serde_json::{Value, json};

/// One figure, measured once a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// Each sample with its counterpart of the same round: what disturbs a round disturbs both.
    pub(super) fn paired(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, two)| combine(*one, *two)).collect())
    }

    pub(super) fn ratio_to(&self, base: &Self) -> Self {
        self.paired(base, |one, two| one / two)
    }

    pub(super) fn more_than(&self, base: &Self) -> Self {
        self.paired(base, |one, two| one - two)
    }

    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    pub(super) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    pub(super) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "median": self.median(), "min": self.min(), "max": self.max(), "samples": self.0 })
    }
}

/// The value that `share` (0 to 1) of `sorted` does not exceed; 0 of nothing.
pub(super) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_ratios_is_taken_round_by_round() {
        let base = Samples(vec![100.0, 200.0, 400.0]);
        let slower = Samples(vec![150.0, 220.0, 800.0]);
        let ratio = slower.ratio_to(&base);
        assert_eq!((ratio.min(), ratio.median(), ratio.max()), (1.1, 1.5, 2.0));
        assert_eq!(slower.more_than(&base).median(), 50.0);
    }

    #[test]
    fn an_even_number_of_samples_has_a_median_between_two() {
        assert_eq!(Samples(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn percentiles_are_samples() {
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 0.5), 100);
        assert_eq!(percentile(&sorted, 0.99), 198);
        assert_eq!(percentile(&sorted, 1.0), 200);
        assert_eq!(percentile(&[7], 0.01), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }
}
