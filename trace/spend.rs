//! What a step, a run or a tree of runs spends: one amount in all six dimensions of a budget.

use callboard_config::budget::Caps;
use serde::{Deserialize, Serialize};

/// What was spent, or is set aside to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spend {
    /// Tokens in and out, cached input included.
    #[serde(skip_serializing_if = "is_none")]
    pub tokens: u64,
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "is_none")]
    pub micro_usd: u64,
    /// Milliseconds inside steps.
    #[serde(skip_serializing_if = "is_none")]
    pub ms: u64,
    /// Attempts of model steps.
    #[serde(skip_serializing_if = "is_none")]
    pub model_calls: u64,
    /// Tool steps.
    #[serde(skip_serializing_if = "is_none")]
    pub tool_calls: u64,
    /// Distinct documents shown to agents.
    #[serde(skip_serializing_if = "is_none")]
    pub documents: u64,
}

/// One dimension of a budget: its name, what is spent of it and how much there may be.
pub type Share = (&'static str, u64, Option<u64>);

impl Spend {
    /// Both together.
    #[must_use]
    pub fn and(self, more: Spend) -> Spend {
        self.each(more, u64::saturating_add)
    }

    /// What is left of it without the other.
    #[must_use]
    pub fn less(self, other: Spend) -> Spend {
        self.each(other, u64::saturating_sub)
    }

    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Spend::default()
    }

    /// Dimension by dimension, beside the limits.
    pub fn beside(&self, caps: &Caps) -> [Share; 6] {
        [
            ("tokens", self.tokens, caps.tokens),
            ("usd", self.micro_usd, caps.micro_usd),
            ("seconds", self.ms, caps.ms),
            ("model_calls", self.model_calls, caps.model_calls),
            ("tool_calls", self.tool_calls, caps.tool_calls),
            ("documents", self.documents, caps.documents),
        ]
    }

    fn each(self, other: Spend, with: impl Fn(u64, u64) -> u64) -> Spend {
        Spend {
            tokens: with(self.tokens, other.tokens),
            micro_usd: with(self.micro_usd, other.micro_usd),
            ms: with(self.ms, other.ms),
            model_calls: with(self.model_calls, other.model_calls),
            tool_calls: with(self.tool_calls, other.tool_calls),
            documents: with(self.documents, other.documents),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as the serializer calls it")]
fn is_none(amount: &u64) -> bool {
    *amount == 0
}
