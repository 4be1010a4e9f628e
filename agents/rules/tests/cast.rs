//! Who plays in the tables: the coder's beginning, what it is given, what it calls, how it ends.

use callboard_config::{Act, Agent, AgentName, Edge, Mode, Model, Verdict};
use callboard_trace::{
    Call, EndState, FailureCode, Finished, Handoff, MadeBy, RunId, Started, Stop, Summary, Trouble,
};
use serde_json::{Value, json};

/// When the run is over at the latest, microseconds; its clock starts at 0.
pub(super) const DEADLINE: i64 = 1_000_000;

pub(super) fn name(text: &str) -> AgentName {
    AgentName::parse(text).expect("a name")
}

/// What tests change of a beginning's agent.
pub(super) trait AgentMut {
    fn agent_mut(&mut self) -> &mut Agent;
}

impl AgentMut for Started {
    fn agent_mut(&mut self) -> &mut Agent {
        std::sync::Arc::make_mut(&mut self.agent)
    }
}

fn model(provider: &str, model: &str) -> Model {
    let (provider, model) = (provider.into(), model.into());
    Model { provider, model, max_output: 1_000, context: 8_000 }
}

/// The coder's beginning: two models, and edges to tester and reviewer.
pub(super) fn started() -> Started {
    let agent = Agent {
        description: "writes code".into(),
        instructions: "You write code.".into(),
        models: vec![model("local", "small"), model("cloud", "big")],
        handoffs: vec![
            edge("tester", &["test", "verify"], &["test", "unit-test", "coverage"]),
            edge("reviewer", &["review"], &["review", "code-quality"]),
        ],
        output: json!({
            "type": "object", "required": ["summary", "confidence"],
            "properties": {"summary": {"type": "string"}, "verdict": {"enum": ["good", "bad"]}},
        }),
        permissions: Act::ALL.map(|it| (it, Verdict::Allow)).into(),
        ..Agent::named(name("coder"))
    };
    Started {
        deadline: DEADLINE,
        trace: "0".repeat(32),
        entry: name("coordinator"),
        ..Started::new(agent.into(), "write a parser")
    }
}

pub(super) fn edge(to: &str, triggers: &[&str], capabilities: &[&str]) -> Edge {
    let texts = |it: &[&str]| it.iter().map(|it| (*it).to_string()).collect();
    Edge {
        to: name(to),
        triggers: texts(triggers),
        when: None,
        task: None,
        mode: Mode::Transfer,
        description: format!("the {to}"),
        capabilities: texts(capabilities),
    }
}

/// What was handed to a receiver.
pub(super) fn given() -> Box<Handoff> {
    Box::new(Handoff {
        id: "h_0".into(),
        source: "researcher".into(),
        target: name("coder"),
        run: RunId::from_text("r_a"),
        call: None,
        task: "write a parser".into(),
        mode: Mode::Transfer,
        summary: Summary::default(),
        artifacts: Vec::new(),
        reason: "model".into(),
        made_by: MadeBy::Model,
        step: None,
        mark: String::new(),
        dropped: Vec::new(),
        taint: None,
    })
}

/// A summary that is whole, for arguments.
pub(super) fn summary() -> Value {
    json!({"did": "wrote the whole parser", "must_know": "empty input is an error",
        "do_next": "write its tests"})
}

/// A call of `handoff` or `delegate` that may be accepted.
pub(super) fn pass(id: &str, tool: &str, to: &str) -> Call {
    call(id, tool, json!({"to": to, "task": format!("the {to}'s part"), "summary": summary()}))
}

pub(super) fn call(id: &str, tool: &str, arguments: Value) -> Call {
    Call { id: id.into(), tool: tool.into(), arguments: Ok(arguments) }
}

pub(super) fn failed(message: &str) -> Finished {
    Finished {
        state: EndState::Failed,
        stop: Stop::Error,
        answer: None,
        missing: Vec::new(),
        recommendations: Vec::new(),
        error: Some(Trouble {
            code: FailureCode::Internal,
            message: message.into(),
            retryable: false,
            hint: String::new(),
        }),
    }
}

pub(super) fn done(summary: &str) -> Finished {
    Finished::done(json!({"summary": summary, "confidence": 0.9}))
}
