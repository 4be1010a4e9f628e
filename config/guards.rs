//! What is checked at the borders of a run, and what becomes of what does not pass.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Model;

/// One check of an agent, complete: a run keeps it with its agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// What records and messages call it.
    pub name: String,
    /// Where it stands.
    pub on: Border,
    /// What it looks for.
    #[serde(flatten)]
    pub kind: Kind,
    /// What becomes of what does not pass.
    pub on_fail: OnFail,
    /// Seconds that a judge may take.
    pub timeout_s: u64,
    /// The tools it is about, by name or glob; none = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

impl Guard {
    /// Whether it is about this tool.
    pub fn is_about(&self, tool: &str) -> bool {
        self.tools.is_empty() || crate::select::selects(&self.tools, tool)
    }
}

/// Where content crosses the border of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Border {
    /// The task and all that came with it, before any model is asked.
    Input,
    /// The arguments of a tool, before it is used.
    ToolCall,
    /// What a tool brought, before a model sees it.
    ToolResult,
    /// Task and summary, before work is passed on.
    Handoff,
    /// The answer.
    Output,
}

impl Border {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Border::Input => "input",
            Border::ToolCall => "tool_call",
            Border::ToolResult => "tool_result",
            Border::Handoff => "handoff",
            Border::Output => "output",
        }
    }
}

/// What becomes of content that does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// An answer goes back to its model with the reasons, at most twice; then it is blocked.
    Retry,
    /// It goes no further: input ends the run, an answer is withheld, the rest is told to the model.
    Block,
    /// The run ends.
    Stop,
    /// What offends is taken out.
    Redact,
    /// It passes, and is told.
    Flag,
    /// A person decides.
    Ask,
}

/// What a check looks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Letters of all its texts.
    Size {
        /// At least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u64>,
        /// At most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u64>,
    },
    /// Regular expressions.
    Pattern {
        /// One of these has to be found.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allow: Vec<String>,
        /// None of these may be.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deny: Vec<String>,
    },
    /// Words that may not stand there, whole and in any case.
    Banned {
        /// The words.
        words: Vec<String>,
    },
    /// A JSON Schema.
    Schema {
        /// The schema.
        schema: Value,
    },
    /// Keys, tokens and passwords.
    Secrets,
    /// Data of persons.
    Personal {
        /// Which; none = all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        data: Vec<Personal>,
    },
    /// Paths that have to be there, such as `/findings/0/evidence`.
    Required {
        /// The paths.
        paths: Vec<String>,
    },
    /// Every finding names at least one evidence.
    Evidence,
    /// No test that the run knows of failed.
    TestsPass,
    /// A model gives a score.
    Judge {
        /// Who: an agent, or an alias of a model.
        by: String,
        /// What an agent brings along for it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        instructions: String,
        /// What is judged.
        criteria: String,
        /// The least score that passes, 0..1.
        pass: f64,
        /// The models asked, in order.
        models: Vec<Model>,
    },
    /// A person agrees.
    Approval,
}

impl Kind {
    /// Whether it can say which part of a text offends.
    pub fn names_parts(&self) -> bool {
        let has_denied = matches!(self, Kind::Pattern { deny, .. } if !deny.is_empty());
        has_denied || matches!(self, Kind::Banned { .. } | Kind::Secrets | Kind::Personal { .. })
    }
}

/// Kinds of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Personal {
    /// An e-mail address.
    Email,
    /// A telephone number in international form.
    Phone,
    /// An international bank account number whose check digits are right.
    Iban,
    /// A payment card's number whose check digit is right.
    Card,
    /// A US social security number, in its written form.
    NationalId,
}
