//! Whatever comes in whatever order: no call is left unanswered, none is answered twice, and every
//! run comes to an end.

use std::collections::BTreeMap;

use callboard_config::budget::{Caps, Price};
use callboard_trace::{
    Action, Call, EndState, Event, FailureCode, Finish, Purse, StepBegun, Stop, Usage, Work,
};
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

use super::cast::{DEADLINE, call, done, failed, pass, summary};
use super::play::Play;
use crate::Run;

/// What may happen to a run; what does not fit the moment is passed over.
#[derive(Clone, Debug)]
enum Happens {
    Says(&'static str, Finish),
    Wants(Vec<Call>),
    Fails(FailureCode, bool, Option<i64>),
    Returns(usize, bool),
    ChildEnds(usize, EndState),
    ChildDeclines(usize),
    Controls(Action, Value),
    Alerts(&'static str, f64),
    TimePasses(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    use FailureCode as Code;
    let texts = &[
        "",
        "plain",
        "{\"summary\": \"s\", \"confidence\": 1}",
        "{\"summary\": \"s\", \"confidence\": 1, \"do_next\": \"test it\"}",
        "{\"summary\": \"s\", \"verdict\": \"maybe\"}",
        "{\"did\": \"wrote the parser\", \"must_know\": \"empty is an error\", \"do_next\": \"t\"}",
    ];
    let finish = prop_oneof![
        8 => Just(Finish::Stop),
        1 => Just(Finish::Length),
        1 => Just(Finish::ContentFilter)
    ];
    let codes = [
        Code::Timeout,
        Code::RateLimited,
        Code::InDoubt,
        Code::Cancelled,
        Code::BadRequest,
        Code::ToolFailed,
    ];
    let fails = (proptest::sample::select(codes.to_vec()), any::<bool>(), 0..DEADLINE);
    let states = [EndState::Completed, EndState::Partial, EndState::Failed, EndState::Failed];
    let ends = (0usize..4, proptest::sample::select(states.to_vec()));
    prop_oneof![
        4 => (proptest::sample::select(&texts[..]), finish)
            .prop_map(|(text, finish)| Happens::Says(text, finish)),
        10 => proptest::collection::vec(wanted(), 1..5).prop_map(Happens::Wants),
        4 => fails.prop_map(|(code, retryable, at)| {
            Happens::Fails(code, retryable, retryable.then_some(at))
        }),
        8 => (0usize..4, any::<bool>()).prop_map(|(at, ok)| Happens::Returns(at, ok)),
        8 => ends.prop_map(|(at, state)| Happens::ChildEnds(at, state)),
        2 => (0usize..4).prop_map(Happens::ChildDeclines),
        1 => control(),
        1 => proptest::sample::select(vec![80.0, 95.0, 100.0])
            .prop_map(|pct| Happens::Alerts("task", pct)),
        2 => (0..DEADLINE / 40).prop_map(Happens::TimePasses),
    ]
}

/// A call, its id not set yet.
fn wanted() -> impl Strategy<Value = Call> {
    let calls = vec![
        pass("", "handoff", "tester"),
        pass("", "handoff", "reviewer"),
        pass("", "delegate", "tester"),
        pass("", "Task", "reviewer"),
        pass("", "handoff", "stranger"),
        call("", "handoff", json!({"to": "tester", "task": "t", "summary": {}})),
        call("", "delegate", json!({"to": "tester", "task": "t", "summary": "plain"})),
        call("", "handoff", json!({"to": "tester", "task": "", "summary": summary()})),
        call("", "read", json!({"uri": "a_1"})),
        call("", "team_status", json!({})),
        call("", "note", json!({"slot": "notes", "key": "k", "text": "t"})),
        call("", "note", json!({"slot": "notes"})),
        call("", "refuse_handoff", json!({"reason": "it is not mine to do"})),
        call("", "deploy", json!({})),
        Call { id: String::new(), tool: "read".into(), arguments: Err("{".into()) },
    ];
    proptest::sample::select(calls)
}

fn control() -> impl Strategy<Value = Happens> {
    let redirect = json!({"id": "h_out", "to": "reviewer", "task": "t", "summary": summary()});
    let all = vec![
        (Action::Pause, Value::Null),
        (Action::Resume, Value::Null),
        (Action::Message, json!("be quick")),
        (Action::FinishNow, Value::Null),
        (Action::Redirect, redirect),
        (Action::SetPriority, json!(5)),
        (Action::SetBudget, json!({"tokens": 60_000, "tool_calls": 9, "model_calls": 9})),
        (Action::SetBudget, json!({"node": "task", "tokens": 60_000})),
        (Action::Cancel, Value::Null),
    ];
    proptest::sample::select(all).prop_map(|(action, value)| Happens::Controls(action, value))
}

/// Lets it happen, if it fits the moment.
fn tell(play: &mut Play, what: Happens, alike: bool) {
    let is_asked = play.run.asking.as_ref().is_some_and(|it| it.open);
    let open: Vec<String> =
        play.run.tools.iter().filter(|it| it.open).map(|it| it.call.id.clone()).collect();
    let at_work: Vec<usize> =
        (0..play.run.children.len()).filter(|it| play.run.children[*it].end.is_none()).collect();
    let pick = |at: usize| at_work.get(at % at_work.len().max(1)).map(|it| it + 1);
    match what {
        Happens::Says(text, finish) if is_asked => {
            play.replies(text, Vec::new(), finish);
        }
        Happens::Wants(mut calls) if is_asked => {
            let turn = if alike { 0 } else { play.records.len() };
            for (nth, call) in calls.iter_mut().enumerate() {
                call.id = format!("call_{turn}_{nth}");
            }
            play.wants(calls);
        }
        Happens::Fails(code, retryable, at) if is_asked || !open.is_empty() => {
            play.fails(code, retryable, at);
        }
        Happens::Returns(at, ok) if !open.is_empty() => {
            let result = if ok { json!("text") } else { json!({"error": "it is not there"}) };
            play.returns(&open[at % open.len()], ok, result);
        }
        Happens::ChildEnds(at, state) if !at_work.is_empty() => {
            let end = if state == EndState::Failed { failed("no") } else { done("so") };
            let end = callboard_trace::Finished { state, ..end };
            play.child_ends(pick(at).expect("one is at work"), end);
        }
        Happens::ChildDeclines(at) if !at_work.is_empty() => {
            play.child_declines(pick(at).expect("one is at work"), Some("reviewer"));
        }
        Happens::Controls(action, value) => {
            play.controls(action, value);
        }
        Happens::Alerts(node, pct) => {
            let (node, dimension, limit) = (node.into(), "tokens".into(), 100.0);
            let (used, needs) = (pct, None);
            play.happens(Event::BudgetAlerted { node, dimension, used, limit, pct, needs });
        }
        Happens::TimePasses(micros) => play.run.now += micros,
        Happens::Says(..)
        | Happens::Wants(_)
        | Happens::Fails(..)
        | Happens::Returns(..)
        | Happens::ChildEnds(..)
        | Happens::ChildDeclines(_) => (),
    }
}

/// Holds at every moment: a model is asked only when every call so far is answered, and each is
/// answered once; the journal folded anew is the same run.
fn check(play: &Play) {
    let mut calls = Calls::default();
    for record in &play.records {
        calls.take(&record.event);
    }
    let folded = Run::fold(&play.records).expect("it begins with a start");
    let now = play.run.now;
    assert_eq!(format!("{:?}", Run { now, ..folded }), format!("{:?}", play.run));
}

/// Holds at every moment: no call beyond the limits was made.
fn check_spending(play: &Play) {
    let (run, caps) = (&play.run, &play.run.started.budget);
    assert!(caps.tool_calls.is_none_or(|it| run.spent.tool_calls <= it), "{:?}", run.spent);
    assert!(caps.model_calls.is_none_or(|it| run.spent.model_calls <= it), "{:?}", run.spent);
}

fn caps() -> impl Strategy<Value = Caps> {
    use proptest::option::weighted;
    let all = (
        weighted(0.3, 0u64..40_000),
        weighted(0.2, 0u64..20_000),
        weighted(0.2, 0u64..9),
        weighted(0.2, 0u64..9),
        weighted(0.2, 0u64..30),
    );
    all.prop_map(|(tokens, micro_usd, model_calls, tool_calls, ms)| Caps {
        tokens,
        micro_usd,
        model_calls,
        tool_calls,
        ms,
        ..Caps::default()
    })
}

/// What became of the calls of the last reply.
#[derive(Default)]
struct Calls {
    answers: BTreeMap<String, u32>,
    steps: BTreeMap<u32, String>,
}

impl Calls {
    fn take(&mut self, event: &Event) {
        if let Event::ModelReplied(reply) = event {
            self.answers = reply.calls.iter().map(|it| (it.id.clone(), 0)).collect();
            self.steps.clear();
        } else if let Event::ToolReturned { call, .. } = event {
            self.answered(call.clone());
        } else if let Event::StepFailed(failure) = event {
            let is_lost = matches!(failure.code, FailureCode::InDoubt | FailureCode::Cancelled);
            let call = self.steps.get(&failure.step).filter(|_| !is_lost).cloned();
            call.into_iter().for_each(|it| self.answered(it));
        } else if let Event::StepBegun(begun) = event {
            self.begun(begun);
        }
    }

    fn answered(&mut self, call: String) {
        let times = self.answers.get_mut(&call).expect("the model asked for it");
        *times += 1;
        assert_eq!(*times, 1, "{call} is answered twice");
    }

    fn begun(&mut self, begun: &StepBegun) {
        match &begun.work {
            Work::Model { .. } => {
                let open: Vec<_> = self.answers.iter().filter(|it| *it.1 == 0).collect();
                assert!(open.is_empty(), "a model is asked while {open:?} are open");
            }
            Work::Tool { call, .. } => {
                self.steps.insert(begun.step, call.clone());
            }
        }
    }
}

/// Brings a run to its end: models answer, tools return, children are done, questions are closed.
fn finish(play: &mut Play) {
    play.controls(Action::Resume, Value::Null);
    for question in play.run.questions.clone() {
        play.happens(Event::QuestionClosed { question, answer: None });
    }
    let open: Vec<String> = play.run.tools.iter().map(|it| it.call.id.clone()).collect();
    for call in open {
        play.returns(&call, true, json!("text"));
    }
    for nth in 1..=play.run.children.len() {
        if play.run.children[nth - 1].end.is_none() {
            play.child_ends(nth, done("so"));
        }
    }
    if play.run.asking.as_ref().is_some_and(|it| it.open) {
        play.answers("at last", json!({}));
    }
    play.run.now = play.run.now.max(DEADLINE / 2);
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_call_is_answered_once_and_every_run_ends(
        story in proptest::collection::vec(happens(), 0..60),
        is_handed in any::<bool>(),
        alike in any::<bool>(),
        turns in 0u32..8,
        budget in caps(),
        input in 0u64..4_000,
    ) {
        let mut play = Play::with(|it| {
            it.fuses.turns = turns;
            it.budget = budget;
            it.purses = vec![Purse { node: "task/r_a".into(), caps: Caps::default() }];
            it.fuses.fan_out = 4;
            it.fuses.parallel_calls = 3;
            it.root_task = "write and test it".into();
            it.handoff = is_handed.then(super::cast::given);
        });
        play.weighs = true;
        play.usage = Usage { input, output: input / 10, ..Usage::default() };
        play.price = Some(Price { input: 1.0, cached_input: 1.0, output: 4.0 });
        play.go();
        for what in story {
            tell(&mut play, what, alike);
            play.go();
            check_spending(&play);
            if play.run.end.is_some() {
                break;
            }
        }
        check(&play);
        for _ in 0..20 {
            if play.run.end.is_some() {
                break;
            }
            finish(&mut play);
            play.go();
        }
        if play.run.end.is_none() {
            play.run.now = DEADLINE;
            play.go();
        }
        prop_assert!(play.run.end.is_some(), "{:#?}", play.run);
        check(&play);
    }
}

/// The summary of a handoff is lost as the money goes: the work is handed on with the engine's words,
/// where the last turn would be asked for and refused for ever.
#[test]
fn a_summary_that_fails_as_the_budget_ends_hands_on_all_the_same() {
    let mut play = Play::with(|it| {
        it.fuses.turns = 1;
        it.budget = Caps { micro_usd: Some(6_987), ..Caps::default() };
        it.root_task = "write and test it".into();
    });
    play.weighs = true;
    play.usage = Usage { input: 410, output: 41, ..Usage::default() };
    play.price = Some(Price { input: 1.0, cached_input: 1.0, output: 4.0 });
    play.go();
    for what in [
        Happens::Says("plain", Finish::Stop),
        Happens::Says("", Finish::Stop),
        Happens::Fails(FailureCode::InDoubt, false, None),
    ] {
        tell(&mut play, what, false);
        play.go();
    }
    assert!(play.run.lands() && play.run.end.is_none());
    assert_eq!(play.run.children.len(), 1);
}

/// A last turn that was asked for and failed is not asked for again and again, whatever the reply
/// before it was for.
#[test]
fn a_last_turn_that_cannot_be_paid_ends_the_run() {
    let mut play = Play::with(|it| {
        it.fuses.turns = 1;
        it.budget = Caps { micro_usd: Some(7_562), ..Caps::default() };
        it.purses = vec![Purse { node: "task/r_a".into(), caps: Caps::default() }];
        it.root_task = "write and test it".into();
    });
    play.weighs = true;
    play.price = Some(Price { input: 1.0, cached_input: 1.0, output: 4.0 });
    play.go();
    let lost = || Happens::Fails(FailureCode::InDoubt, false, None);
    for what in [
        Happens::Says("plain", Finish::Stop),
        lost(),
        Happens::Says("", Finish::Stop),
        Happens::Alerts("task", 95.0),
        Happens::Fails(FailureCode::BadRequest, false, None),
        Happens::Alerts("task", 80.0),
        lost(),
    ] {
        tell(&mut play, what, false);
        play.go();
    }
    assert_eq!(play.run.end.map(|it| it.stop), Some(Stop::Budget));
}

#[test]
fn a_small_count_of_calls_leaves_one_last_turn_too() {
    for (caps, last_turns) in [
        (Caps { tool_calls: Some(1), ..Caps::default() }, 1),
        (Caps { tool_calls: Some(3), ..Caps::default() }, 1),
        (Caps { model_calls: Some(1), ..Caps::default() }, 0),
        (Caps { model_calls: Some(2), ..Caps::default() }, 1),
        (Caps { model_calls: Some(9), ..Caps::default() }, 1),
    ] {
        let mut play = Play::with(|it| it.budget = caps);
        play.weighs = true;
        let mut lines = play.go();
        while play.run.tools.is_empty() && play.run.end.is_none() && !is_last(&lines) {
            let look = vec![call("c", "team_status", json!({}))];
            play.replies(&format!("look {}", play.records.len()), look, Finish::ToolCalls);
            lines = play.go();
            if !play.run.tools.is_empty() {
                lines = play.returns("c", true, json!({})).go();
            }
        }
        assert_eq!(usize::from(is_last(&lines)), last_turns, "{caps:?}: {lines:?}");
    }
}

fn is_last(lines: &[String]) -> bool {
    lines.iter().any(|it| it.ends_with("for its last turn"))
}
