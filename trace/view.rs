//! The one result object: what a run is, in the same facts for every client.

use callboard_config::AgentName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artifact::Artifact;
use crate::story::line;
use crate::{Event, Finished, Missing, RunId, Stop, Trouble};

/// Where a run stands. About 50 tokens while working, at most 2,000 when done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: State,
    /// What stopped it, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Who has the work now, or who finished it.
    pub agent: AgentName,
    /// The conclusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The answer's fields beyond `summary` and `confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// 0..1, as the agent gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// What is being done, such as `3: note`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How far it is with its own list, such as `2 of 5: writing tests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
    /// Why it is not at work yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queued>,
    /// What a person has to decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// What a partial result lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommendations: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// Whether the team failed at it, and one agent did it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub degraded: bool,
    /// What it cost, its children included.
    pub cost: Cost,
    /// Notes, and answers of other runs, made in its tree: the last ones, and how to read them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Handoffs made in its tree.
    pub handoffs: u32,
    /// Wall clock from acceptance to now or to the end.
    pub elapsed_s: f64,
    /// The call to make next, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Runs that ended while nobody listened, and warnings of the team.
    #[serde(default)]
    pub notices: Vec<String>,
}

impl RunView {
    /// Takes in how the run ended.
    pub fn finish(&mut self, end: &Finished) {
        self.result = Some(end.summary().to_string());
        self.confidence = end.confidence();
        self.answer = end.answer.as_ref().and_then(|it| it.as_object()).and_then(|fields| {
            let mut fields = fields.clone();
            fields.shift_remove("summary");
            fields.shift_remove("confidence");
            (!fields.is_empty()).then_some(Value::Object(fields))
        });
        self.missing.clone_from(&end.missing);
        self.recommendations.clone_from(&end.recommendations);
        self.error.clone_from(&end.error);
    }

    /// Shows an answer of the caller's own schema whole; the conclusion is its `summary`, or its
    /// beginning.
    pub(crate) fn shape(&mut self, end: &Finished) {
        let Some(answer) = &end.answer else { return };
        self.answer = Some(answer.clone());
        if self.result.as_ref().is_none_or(String::is_empty) {
            let whole = answer.as_str().map(str::to_owned);
            self.result = whole.or_else(|| Some(line(&answer.to_string())));
        }
    }
}

/// The states of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody is at work for it: the run that has the work waits for a seat or at a gate, or is
    /// paused.
    Queued,
    /// A step is in progress, here or below.
    Working,
    /// It asked a person.
    InputRequired,
    /// A step is in doubt.
    Halted,
    /// Done.
    Completed,
    /// Stopped, with something usable.
    Partial,
    /// Stopped, with nothing.
    Failed,
    /// Stopped from outside.
    Cancelled,
}

impl State {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        match self {
            State::Completed | State::Partial | State::Failed | State::Cancelled => true,
            State::Queued | State::Working | State::InputRequired | State::Halted => false,
        }
    }
}

/// Why a run is not at work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// How many ready runs come before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pos: Option<u64>,
    /// A seat, a process that works, a provider's pause until a time, `paused by …`, or its end where
    /// it is `cancelled by …`.
    pub waiting_for: String,
    /// Seconds until it goes on, where that is a matter of time alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
}

/// Something a person has to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// `q_…`.
    pub id: String,
    /// `text`, `choice`, `approval` or `rerun`.
    pub kind: String,
    /// What is asked.
    pub prompt: String,
    /// What may be answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Seconds until it is too late to answer; absent where there is time until the run's deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// The same, microseconds since 1970.
    #[serde(skip)]
    pub expires: Option<i64>,
}

impl Question {
    /// Stands in the name of a question that a guardrail asks, with the content in its prompt.
    pub const CHECK: &str = "_chk";

    /// What a record asks, if it asks something.
    pub fn of(event: &Event) -> Option<Question> {
        let Event::QuestionAsked { question, form, prompt, options, act } = event else {
            return None;
        };
        let (id, kind, prompt) = (question.clone(), form.clone(), prompt.clone());
        let expires = act.as_ref().map(|it| it.expires);
        Some(Question { id, kind, prompt, options: options.clone(), expires_s: None, expires })
    }

    /// Whether it may be answered so: with an option, or a refusal with its reason.
    pub fn takes(&self, answer: &str) -> bool {
        let is_refusal = self.kind == "approval" && answer.starts_with("deny:");
        is_refusal || self.options.is_empty() || self.options.iter().any(|it| it == answer)
    }

    /// As it stands now.
    pub fn at(mut self, now: i64) -> Question {
        let left = |it: i64| it.saturating_sub(now).max(0).unsigned_abs() / 1_000_000;
        self.expires_s = self.expires.map(left);
        self
    }
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// US dollars; absent where no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Tokens in and out.
    pub tokens: u64,
    /// Per cent of its task's budget that are used, of what is used most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_pct: Option<f64>,
}

impl Cost {
    /// Tokens and money, which is not known where no reply came, or where one had no price and none
    /// cost anything.
    pub fn of(tokens: u64, micro_usd: u64, has_replies: bool, is_priced: bool) -> Cost {
        let is_known = has_replies && (is_priced || micro_usd > 0);
        Cost { usd: is_known.then_some(micro_usd as f64 / 1e6), tokens, budget_pct: None }
    }
}
