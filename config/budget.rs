//! What may be spent, and what a model costs: limits of runs, tasks and days, and the price file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::select::fits;

/// Limits on what may be spent; `None` = unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caps {
    /// Tokens in and out, cached input included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
    /// Milliseconds inside steps; waiting costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Attempts of model steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_calls: Option<u64>,
    /// Tool steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// Distinct bodies of files, pages and resources shown to the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    /// Somebody wrote the limit in money: a model without a price is refused under it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub usd_is_written: bool,
}

impl Caps {
    /// No limit at all.
    pub fn is_unlimited(&self) -> bool {
        *self == Caps { usd_is_written: self.usd_is_written, ..Caps::default() }
    }

    /// These limits, and the others where these say nothing.
    #[must_use]
    pub fn or(self, other: Caps) -> Caps {
        Caps {
            tokens: self.tokens.or(other.tokens),
            micro_usd: self.micro_usd.or(other.micro_usd),
            ms: self.ms.or(other.ms),
            model_calls: self.model_calls.or(other.model_calls),
            tool_calls: self.tool_calls.or(other.tool_calls),
            documents: self.documents.or(other.documents),
            usd_is_written: if self.micro_usd.is_some() {
                self.usd_is_written
            } else {
                other.usd_is_written
            },
        }
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, n: u64) -> Caps {
        self.each(self, |it, _| it.map(|it| it.saturating_mul(n)))
    }

    /// So many millionths of it, rounded down.
    #[must_use]
    pub fn part(self, millionths: u64) -> Caps {
        let part = |it: u64| u128::from(it) * u128::from(millionths) / 1_000_000;
        self.each(self, |it, _| it.map(|it| u64::try_from(part(it)).unwrap_or(u64::MAX)))
    }

    /// What is left without the other.
    #[must_use]
    pub fn less(self, other: Caps) -> Caps {
        self.each(other, |it, less| it.map(|it| it.saturating_sub(less.unwrap_or_default())))
    }

    /// What a rest becomes when the whole that it is the rest of was `from` and is now `to`.
    #[must_use]
    pub fn moved(self, from: Caps, to: Caps) -> Caps {
        let both = |rest: Option<u64>, to: Option<u64>| {
            to.map(|to| to.saturating_add(rest.unwrap_or_default()))
        };
        self.each(to, both).less(from)
    }

    /// The smaller of both, dimension by dimension.
    #[must_use]
    pub fn within(self, other: Caps) -> Caps {
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let usd_is_written = self.usd_is_written || other.usd_is_written;
        Caps { usd_is_written, ..self.each(other, least) }
    }

    fn each(self, other: Caps, with: impl Fn(Option<u64>, Option<u64>) -> Option<u64>) -> Caps {
        Caps {
            tokens: with(self.tokens, other.tokens),
            micro_usd: with(self.micro_usd, other.micro_usd),
            ms: with(self.ms, other.ms),
            model_calls: with(self.model_calls, other.model_calls),
            tool_calls: with(self.tool_calls, other.tool_calls),
            documents: with(self.documents, other.documents),
            usd_is_written: self.usd_is_written,
        }
    }
}

/// `budgets:` of `team.yaml`: what one agent's run, one task with all its runs, and one day of the
/// workspace (UTC) may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// A run of an agent that sets no budget of its own.
    pub run: Caps,
    /// A root task.
    pub task: Caps,
    /// The workspace in a day.
    pub day: Caps,
}

impl Default for Budgets {
    fn default() -> Budgets {
        let run = Caps {
            tokens: Some(50_000),
            ms: Some(1_800_000),
            model_calls: Some(200),
            tool_calls: Some(200),
            documents: Some(100),
            ..Caps::default()
        };
        let task = Caps {
            tokens: Some(500_000),
            micro_usd: Some(5_000_000),
            ms: Some(18_000_000),
            model_calls: Some(2_000),
            tool_calls: Some(2_000),
            documents: Some(1_000),
            ..Caps::default()
        };
        let day = Caps { micro_usd: Some(50_000_000), ..Caps::default() };
        Budgets { run, task, day }
    }
}

/// US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens that the provider read from its cache.
    pub cached_input: f64,
    /// Reply tokens.
    pub output: f64,
}

impl Price {
    /// Millionths of a dollar for so many tokens; `cached` is part of `input`. Rounded up.
    pub fn micro_usd(&self, input: u64, cached: u64, output: u64) -> u64 {
        let fresh = input.saturating_sub(cached) as f64 * self.input;
        let usd =
            fresh + cached.min(input) as f64 * self.cached_input + output as f64 * self.output;
        // A dollar for a million tokens is a millionth of one for each.
        usd.ceil() as u64
    }
}

/// `prices.yaml`: what models cost, by pattern.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// The date it speaks of, as it is written.
    pub as_of: Option<String>,
    /// Patterns over `provider/model` or the model's name alone, `*` for anything, most specific
    /// first.
    pub models: Vec<(String, Price)>,
    /// Providers on this machine, which cost nothing.
    pub free: Vec<String>,
}

impl Prices {
    /// What a model of a provider costs; `None` if nobody said.
    pub fn of(&self, provider: &str, model: &str) -> Option<Price> {
        let name = format!("{provider}/{model}");
        let is_it = |pattern: &str| fits(pattern, &name) || fits(pattern, model);
        let written = self.models.iter().find(|it| is_it(&it.0)).map(|it| it.1);
        written.or_else(|| self.free.iter().any(|it| it == provider).then(Price::default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_for_a_million_tokens_and_rounds_up() {
        let price = Price { input: 2.0, cached_input: 0.5, output: 8.0 };
        assert_eq!(price.micro_usd(1_000_000, 0, 0), 2_000_000);
        assert_eq!(price.micro_usd(1_000, 400, 10), 1_200 + 200 + 80);
        assert_eq!(price.micro_usd(1, 9, 0), 1);
        assert_eq!(Price::default().micro_usd(9, 0, 9), 0);
    }

    #[test]
    fn the_smaller_limit_counts() {
        let a = Caps { tokens: Some(5), ms: Some(7), ..Caps::default() };
        let b =
            Caps { tokens: Some(9), micro_usd: Some(1), usd_is_written: true, ..Caps::default() };
        let both = Caps { ms: Some(7), tokens: Some(5), ..b };
        assert_eq!(a.within(b), both);
        assert!(Caps::default().is_unlimited() && !both.is_unlimited());
    }

    #[test]
    fn parts_are_rounded_down_and_the_rest_follows_the_whole() {
        let of = |tokens, ms| Caps { tokens, ms, ..Caps::default() };
        let whole = of(Some(100_001), None);
        assert_eq!(whole.part(300_000), of(Some(30_000), None));
        assert_eq!(of(Some(u64::MAX), None).part(1_000_000), of(Some(u64::MAX), None));
        let rest = whole.less(whole.part(300_000));
        assert_eq!(rest, of(Some(70_001), None));
        assert_eq!(rest.moved(whole, of(Some(150_001), Some(9))), of(Some(120_001), Some(9)));
        assert_eq!(rest.moved(whole, of(Some(20_000), None)), of(Some(0), None));
        assert_eq!(rest.moved(whole, of(None, None)), of(None, None));
        assert_eq!(whole.less(of(Some(200_000), Some(3))), of(Some(0), None));
    }
}
