//! A graph of runs, as its caller declared it.

use callboard_config::AgentName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of a plan: a run that begins when all its needs have ended well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Unique in the plan.
    pub id: String,
    /// Who does it.
    pub to: AgentName,
    /// What is to be done.
    #[serde(default)]
    pub task: String,
    /// The steps whose end it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// 0..1000, if the caller set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// What its result counts among those of the others: its agent's authority.
    #[serde(default = "one")]
    pub weight: f64,
    /// What it means for the caller if it comes to nothing, if the caller said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_if_missing: Option<String>,
    /// Its share of what the plan may spend, 0..1; without one it spends what is nobody's share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

fn one() -> f64 {
    1.0
}

impl PlanStep {
    /// Lists longer than this are kept as text.
    const LISTED: usize = 1_000;

    /// A share as it is counted, so that parts add up exactly.
    pub fn millionths(share: f64) -> u64 {
        (share.clamp(0.0, 1.0) * 1e6).round() as u64
    }

    /// A declaration as its record holds it.
    pub fn written(steps: &[PlanStep]) -> Value {
        let list = || serde_json::to_value(steps).unwrap_or_default();
        let text = || serde_json::to_string(steps).map_or(Value::Null, Value::String);
        if steps.len() > PlanStep::LISTED { text() } else { list() }
    }

    /// Reads it back; nothing if it is no declaration.
    pub fn read(written: &Value) -> Vec<PlanStep> {
        let read = match written.as_str() {
            Some(text) => serde_json::from_str(text),
            None => Vec::deserialize(written),
        };
        read.unwrap_or_default()
    }
}

/// What a run used, its ended children included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tokens in and out.
    pub tokens: u64,
    /// Model replies.
    pub replies: u64,
    /// Handoffs between agents; the steps of a plan are none.
    pub handoffs: u32,
    /// Millionths of a US dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub micro_usd: u64,
    /// Replies of models that have no price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as the serializer calls it")]
fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Totals {
    /// Both together.
    pub fn and(self, more: Totals) -> Totals {
        Totals {
            tokens: self.tokens.saturating_add(more.tokens),
            replies: self.replies.saturating_add(more.replies),
            handoffs: self.handoffs.saturating_add(more.handoffs),
            micro_usd: self.micro_usd.saturating_add(more.micro_usd),
            unpriced: self.unpriced.saturating_add(more.unpriced),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Totals::default()
    }
}
