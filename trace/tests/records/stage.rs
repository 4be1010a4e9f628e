//! A journal in the making: runs begin, things happen to them, and a tree is folded of it.

use callboard_config::{Agent, AgentName, Mode, Model};
use callboard_trace::{
    Action, Control, EndState, Event, Failure, FailureCode, Finish, Finished, Handoff, MadeBy,
    ModelReplied, Purpose, Record, RunId, RunView, Started, StepBegun, Stop, Summary, Tree,
    Trouble, Usage, Work,
};
use serde_json::{Value, json};

/// Microseconds in a second; each record comes one second after the last.
pub(crate) const SECOND: i64 = 1_000_000;

/// Records of one root, `a`; runs are named by one letter and begin where they are handed work.
pub(crate) struct Stage {
    pub(crate) records: Vec<Record>,
}

pub(crate) fn id(run: &str) -> RunId {
    RunId::from_text(format!("r_{run}"))
}

pub(crate) fn agent(name: &str) -> AgentName {
    AgentName::parse(name).expect("a name")
}

impl Stage {
    /// The root `a` of the coder, which has only begun.
    pub(crate) fn new() -> Stage {
        let mut stage = Stage { records: Vec::new() };
        stage.happens("a", started("coder", None));
        stage
    }

    /// Something happens to a run.
    pub(crate) fn happens(&mut self, run: &str, event: Event) -> &mut Stage {
        self.records.push(Record {
            seq: self.records.len() as u64 + 1,
            at: self.records.len() as i64 * SECOND,
            v: 1,
            workspace: "default".into(),
            task: id("a"),
            run: id(run),
            attempt: 1,
            agent: None,
            by: "local".into(),
            prev: String::new(),
            event,
        });
        self
    }

    /// The model of a run is asked.
    pub(crate) fn asks(&mut self, run: &str, step: u32) -> &mut Stage {
        let work = Work::Model {
            provider: "local".into(),
            model: "small".into(),
            purpose: Purpose::Turn,
            messages: 2,
            prompt: String::new(),
        };
        self.happens(run, Event::StepBegun(StepBegun::new(step, 1, work)))
    }

    /// It answers, and these tokens are used.
    pub(crate) fn hears(&mut self, run: &str, step: u32, input: u64, output: u64) -> &mut Stage {
        let reply = ModelReplied {
            step,
            reply: json!({}),
            text: "so".into(),
            calls: Vec::new(),
            finish: Finish::Stop,
            usage: Usage { input, output, ..Usage::default() },
            model: "local/small".into(),
            first_token_ms: 1,
            ms: 2,
            asked_again: 0,
            micro_usd: None,
        };
        self.happens(run, Event::ModelReplied(Box::new(reply)))
    }

    /// A run hands work to another, which begins.
    pub(crate) fn hands(&mut self, from: &str, to: &str, who: &str, mode: Mode) -> &mut Stage {
        self.passes(from, to, who, mode).happens(to, started(who, Some(from)))
    }

    /// A run hands work to another, whose beginning is not told here.
    pub(crate) fn passes(&mut self, from: &str, to: &str, who: &str, mode: Mode) -> &mut Stage {
        let handoff = Handoff {
            id: format!("h_{to}"),
            source: from.into(),
            target: agent(who),
            run: id(to),
            call: None,
            task: "the rest".into(),
            mode,
            summary: Summary::default(),
            artifacts: Vec::new(),
            reason: "model".into(),
            made_by: MadeBy::Model,
            step: None,
            mark: String::new(),
            dropped: Vec::new(),
            taint: None,
        };
        self.happens(from, Event::HandedOff(Box::new(handoff)))
    }

    /// A step fails, and is tried again later or not.
    pub(crate) fn fails(&mut self, run: &str, step: u32, retry_at: Option<i64>) -> &mut Stage {
        self.happens(
            run,
            Event::StepFailed(Failure {
                step,
                attempt: 1,
                code: FailureCode::RateLimited,
                message: "provider \"local\" answered 429".into(),
                retryable: retry_at.is_some(),
                retry_at,
                ms: 5,
                asked_again: 0,
            }),
        )
    }

    /// Somebody outside acts on a run.
    pub(crate) fn controls(&mut self, run: &str, action: Action) -> &mut Stage {
        let control = Control { action, value: Value::Null, reason: String::new() };
        self.happens(run, Event::Controlled(control))
    }

    /// A run asks a person.
    pub(crate) fn wonders(&mut self, run: &str, question: &str, form: &str) -> &mut Stage {
        self.happens(
            run,
            Event::QuestionAsked {
                question: question.into(),
                form: form.into(),
                prompt: "may I?".into(),
                options: vec!["yes".into()],
                act: None,
            },
        )
    }

    /// A run ends.
    pub(crate) fn ends(&mut self, run: &str, end: Finished) -> &mut Stage {
        self.happens(run, Event::RunEnded(Box::new(end)))
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::fold(&self.records)
    }

    /// How a run stands one second after the last record.
    pub(crate) fn view(&self, run: &str) -> RunView {
        let now = self.records.len() as i64 * SECOND;
        self.tree().view(&id(run), now).expect("the run is in the tree")
    }
}

pub(crate) fn done() -> Finished {
    Finished::done(json!({"summary": "it is done", "confidence": 0.75}))
}

pub(crate) fn end(state: EndState) -> Finished {
    Finished {
        state,
        stop: Stop::Error,
        answer: None,
        missing: Vec::new(),
        recommendations: Vec::new(),
        error: Some(Trouble {
            code: FailureCode::Internal,
            message: "it went wrong".into(),
            retryable: false,
            hint: "look at it".into(),
        }),
    }
}

pub(crate) fn started(name: &str, parent: Option<&str>) -> Event {
    let (provider, model) = ("local".into(), "small".into());
    let models = vec![Model { provider, model, max_output: 1_000, context: 8_000 }];
    let agent = Agent { models, ..Agent::named(agent(name)) };
    let started = Started::new(agent.into(), "the task");
    Event::RunStarted(Box::new(Started { parent: parent.map(id), ..started }))
}
