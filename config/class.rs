//! How urgent the runs of an agent are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Base priority of an agent's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// 900.
    Critical,
    /// 600.
    High,
    /// 300.
    Quality,
    /// 100.
    #[default]
    Normal,
    /// 50.
    Low,
    /// 10.
    Background,
}

impl Class {
    /// Points of priority, 0..1000.
    pub fn priority(self) -> u16 {
        match self {
            Class::Critical => 900,
            Class::High => 600,
            Class::Quality => 300,
            Class::Normal => 100,
            Class::Low => 50,
            Class::Background => 10,
        }
    }
}
