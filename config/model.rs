//! A model as agents and checks ask it.

use serde::{Deserialize, Serialize};

/// One model of an agent's chain, with its alias resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// A key of `Team::providers`.
    pub provider: String,
    /// The name the provider knows it by.
    pub model: String,
    /// Most tokens of one reply.
    pub max_output: u32,
    /// Tokens of prompt and reply together.
    pub context: u32,
}
