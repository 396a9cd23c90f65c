//! What tokens cost, in integers from the configuration to the metric.

use crate::protocol::usage::Usage;

/// Prices of one model. A rate is picodollars a token, which is the sixth decimal of USD per
/// million tokens: what a price list says is held exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    pub input: u64,
    /// Input that the provider read from its own cache.
    pub cached_input: u64,
    /// Input that the provider wrote to its own cache.
    pub cache_write: u64,
    pub output: u64,
    /// Output that the model spent on thinking.
    pub reasoning: u64,
}

impl Price {
    /// Whether nothing costs anything.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// Micro-dollars, rounded up once over the whole answer. Usage that do not add up (more cached
    /// than read) are charged as reported, never below zero; a cost beyond `u64` is `u64::MAX`.
    pub fn cost_microusd(&self, tokens: &Usage) -> u64 {
        let fresh =
            tokens.input.saturating_sub(tokens.cached_input.saturating_add(tokens.cache_write));
        let spoken = tokens.output.saturating_sub(tokens.reasoning);
        let picodollars = [
            (fresh, self.input),
            (tokens.cached_input, self.cached_input),
            (tokens.cache_write, self.cache_write),
            (spoken, self.output),
            (tokens.reasoning, self.reasoning),
        ]
        .into_iter()
        .map(|(count, rate)| u128::from(count) * u128::from(rate))
        .fold(0u128, u128::saturating_add);
        u64::try_from(picodollars.div_ceil(PICO_PER_MICRO)).unwrap_or(u64::MAX)
    }
}

/// A rate from the USD per million tokens that the configuration says, or `None` if that is no
/// amount from 0 to [`MAX_USD_PER_MILLION`] with at most six decimals.
///
/// Goes through the shortest decimal that reads back as the same double: 1.1 is what was written,
/// not 1.100000000000000088.
pub fn rate(usd_per_million: f64) -> Option<u64> {
    micros(usd_per_million).filter(|rate| *rate <= MAX_USD_PER_MILLION * MICRO)
}

/// Micro-units of a decimal amount, exactly; `None` if negative, not a number, finer than a
/// micro-unit or too large.
pub fn micros(amount: f64) -> Option<u64> {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() > DECIMALS {
        return None;
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<DECIMALS$}").parse().ok()
}

/// Above any price that was ever asked; keeps a slip of the decimal point from passing as a price.
pub const MAX_USD_PER_MILLION: u64 = 1_000_000;
const MICRO: u64 = 1_000_000;
const DECIMALS: usize = 6;
const PICO_PER_MICRO: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GPT: Price = Price {
        input: 2_500_000,
        cached_input: 1_250_000,
        cache_write: 2_500_000,
        output: 10_000_000,
        reasoning: 10_000_000,
    };

    #[test]
    fn a_price_list_is_held_exactly() {
        for (usd, pico) in
            [(2.5, 2_500_000), (0.1, 100_000), (1.1, 1_100_000), (0.0, 0), (60.0, 60_000_000)]
        {
            assert_eq!(rate(usd), Some(pico), "{usd}");
        }
        assert_eq!(rate(0.000_001), Some(1));
        for bad in [-1.0, -0.0, 0.000_000_1, f64::NAN, f64::INFINITY, 1e300, 1_000_001.0] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn cached_tokens_are_not_paid_twice() {
        let tokens = Usage { input: 1000, cached_input: 400, output: 100, ..Usage::default() };
        assert_eq!(GPT.cost_microusd(&tokens), 600 * 5 / 2 + 400 * 5 / 4 + 100 * 10);
    }

    #[test]
    fn a_fraction_of_a_microdollar_is_rounded_up_once() {
        let price = Price { input: 1, output: 1, ..Price::default() };
        let one = Usage { input: 1, output: 1, ..Usage::default() };
        assert_eq!(price.cost_microusd(&one), 1);
        assert_eq!(price.cost_microusd(&Usage::default()), 0);
    }

    proptest! {
        #[test]
        fn no_count_overflows(input: u64, cached_input: u64, cache_write: u64, output: u64, reasoning: u64) {
            let tokens = Usage { input, cached_input, cache_write, output, reasoning };
            let rate = MAX_USD_PER_MILLION * MICRO;
            let dearest = Price { input: rate, cached_input: rate, cache_write: rate, output: rate, reasoning: rate };
            prop_assert!(dearest.cost_microusd(&tokens) >= GPT.cost_microusd(&tokens));
        }

        #[test]
        fn every_amount_with_six_decimals_is_exact(micro in 0u64..=MAX_USD_PER_MILLION * MICRO) {
            let written: f64 = format!("{}.{:06}", micro / MICRO, micro % MICRO).parse().unwrap();
            prop_assert_eq!(rate(written), Some(micro));
        }
    }
}
