//! A run in the making: what happens is told to it, what it does is written down as the scheduler
//! would write it, in one journal that can be folded again.

use callboard_config::budget::Price;
use callboard_trace::{
    Action, Call, Control, Event, Failure, FailureCode, Finish, Finished, ModelReplied, Record,
    RunId, Started, StepBegun, Totals, Usage, Work, story_line,
};
use serde_json::{Value, json};

use super::cast::*;
use crate::afford::{Afford, affords};
use crate::{Asked, Draft, Run, Step, next, prepare_model, prepare_tool};

/// Steps that a run may take without a rest.
const RESTLESS: usize = 200;

/// A run and its journal.
#[derive(Clone)]
pub(super) struct Play {
    pub(super) run: Run,
    pub(super) records: Vec<Record>,
    /// Whether steps set aside what they may cost, and begin only where the budget bears it.
    pub(super) weighs: bool,
    /// What every model costs.
    pub(super) price: Option<Price>,
    /// What every reply says that it used.
    pub(super) usage: Usage,
}

impl Play {
    /// The coder on its own.
    pub(super) fn new() -> Play {
        Play::with(|_| ())
    }

    /// The coder, begun in another way.
    pub(super) fn with(change: impl FnOnce(&mut Started)) -> Play {
        let mut started = started();
        change(&mut started);
        let run = Run::new(RunId::from_text("r_a"), started.clone());
        let (records, usage) = (Vec::new(), Usage::default());
        let mut play = Play { run, records, weighs: false, price: None, usage };
        play.records.push(play.record("local", Event::RunStarted(Box::new(started))));
        play
    }

    /// The coder as the receiver of a handoff.
    pub(super) fn handed() -> Play {
        Play::with(|it| it.handoff = Some(given()))
    }

    fn record(&self, by: &str, event: Event) -> Record {
        Record {
            seq: self.records.len() as u64 + 1,
            at: 0,
            v: 1,
            workspace: "default".into(),
            task: RunId::from_text("r_a"),
            run: RunId::from_text("r_a"),
            attempt: 1,
            agent: None,
            by: by.into(),
            prev: String::new(),
            event,
        }
    }

    /// Something happens to the run.
    pub(super) fn happens(&mut self, event: Event) -> &mut Play {
        self.happens_by("local", event)
    }

    fn happens_by(&mut self, by: &str, event: Event) -> &mut Play {
        self.run.apply(by, &event);
        self.records.push(self.record(by, event));
        self
    }

    /// Takes steps until the rules rest, and tells each in one line; the last line says how it
    /// rests.
    pub(super) fn go(&mut self) -> Vec<String> {
        let before = self.records.len();
        for _ in 0..RESTLESS {
            let step = next(&self.run);
            if let Some(rest) = self.rest(&step) {
                let lines = self.records[before..].iter().map(story_line);
                let lines = lines.map(|it| it.trim_start_matches("r_a -: ").to_string());
                return lines.chain(Some(rest).filter(|it| !it.is_empty())).collect();
            }
            self.take(step);
        }
        panic!("no rest within {RESTLESS} steps")
    }

    /// How the run rests with that step, if it does. An end is written down and needs no word.
    fn rest(&mut self, step: &Step) -> Option<String> {
        match step {
            Step::Wait(None) => Some("rests".into()),
            Step::Wait(Some(DEADLINE)) => Some("waits".into()),
            Step::Ask(Asked { not_before: Some(at), .. }) if *at > self.run.now => {
                Some(format!("waits until {at}"))
            }
            Step::Wait(Some(at)) => Some(format!("waits until {at}")),
            Step::End(end) => {
                self.happens(Event::RunEnded(Box::new(end.clone())));
                Some(String::new())
            }
            Step::Ask(_)
            | Step::Call { .. }
            | Step::Answer { .. }
            | Step::HandOff(_)
            | Step::Record(_) => None,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Ask(asked) => {
                let mut prepared = prepare_model(&self.run, &asked, self.price);
                match affords(&self.run, &prepared) {
                    Afford::No(alert) if self.weighs => {
                        self.happens(*alert);
                        return;
                    }
                    Afford::Cut(most) if self.weighs => {
                        prepared.cut(most);
                    }
                    Afford::Yes | Afford::Cut(_) | Afford::No(_) | Afford::Unpriced(_) => (),
                }
                self.begins(prepared.begun().clone());
            }
            Step::Call { step, attempt, call, repeatable, server } => {
                let arguments = call.arguments.unwrap_or_default();
                let (id, tool) = (call.id.clone(), call.tool);
                let work = Work::Tool { call: id, tool, arguments, repeatable, server };
                let prepared = prepare_tool(&self.run, StepBegun::new(step, attempt, work));
                match affords(&self.run, &prepared) {
                    Afford::No(alert) if self.weighs => {
                        self.happens(*alert);
                        let (step, call) = (self.run.steps + 1, call.id);
                        let (result, documents) = (json!({ "error": "no call is left" }), vec![]);
                        let (ok, ms, files) = (false, 0, vec![]);
                        let event =
                            Event::ToolReturned { step, call, ok, result, ms, documents, files };
                        self.happens(event);
                    }
                    Afford::Yes | Afford::Cut(_) | Afford::No(_) | Afford::Unpriced(_) => {
                        self.begins(prepared.begun().clone());
                    }
                }
            }
            Step::Answer { call, ok, result, also } => {
                for event in also {
                    self.happens(event);
                }
                let step = self.run.steps + 1;
                self.happens(Event::ToolReturned {
                    step,
                    call,
                    ok,
                    result,
                    ms: 0,
                    documents: vec![],
                    files: vec![],
                });
            }
            Step::HandOff(draft) => self.hand_off(draft),
            Step::Record(event) => {
                self.happens(event);
            }
            Step::End(_) | Step::Wait(_) => unreachable!("decided by the caller"),
        }
    }

    fn begins(&mut self, begun: StepBegun) {
        let free = StepBegun { reserved: callboard_trace::Spend::default(), ..begun.clone() };
        self.happens(Event::StepBegun(if self.weighs { begun } else { free }));
    }

    fn hand_off(&mut self, mut draft: Draft) {
        for event in std::mem::take(&mut draft.also) {
            self.happens(event);
        }
        let nth = self.run.children.len() + 1;
        let id = draft.id.clone().unwrap_or_else(|| format!("h_{nth}"));
        let run = RunId::from_text(format!("r_{nth}"));
        let handoff = draft.handoff(self.run.name(), run, id);
        self.happens(Event::HandedOff(Box::new(handoff)));
    }

    /// The model answers with a text.
    pub(super) fn says(&mut self, text: &str) -> &mut Play {
        self.replies(text, Vec::new(), Finish::Stop)
    }

    /// The model gives an answer that stands, with these fields besides.
    pub(super) fn answers(&mut self, summary: &str, more: Value) -> &mut Play {
        let mut answer = json!({"summary": summary, "confidence": 0.8});
        for (key, value) in more.as_object().into_iter().flatten() {
            answer[key] = value.clone();
        }
        self.says(&answer.to_string())
    }

    /// The model asks for tools.
    pub(super) fn wants(&mut self, calls: Vec<Call>) -> &mut Play {
        self.replies("", calls, Finish::ToolCalls)
    }

    pub(super) fn replies(&mut self, text: &str, calls: Vec<Call>, finish: Finish) -> &mut Play {
        let step = self.run.asking.as_ref().expect("the model is asked").step;
        let ids: Vec<&str> = calls.iter().map(|it| it.id.as_str()).collect();
        let reply = json!({"role": "assistant", "content": text, "tool_calls": ids});
        self.happens(Event::ModelReplied(Box::new(ModelReplied {
            step,
            reply,
            text: text.into(),
            calls,
            finish,
            usage: self.usage,
            model: "local/small".into(),
            first_token_ms: 0,
            ms: 0,
            asked_again: 0,
            micro_usd: self.price.map(|it| it.micro_usd(self.usage.input, 0, self.usage.output)),
        })))
    }

    /// A judge gives its word.
    pub(super) fn judged(&mut self, step: u32, text: &str) -> &mut Play {
        let reply = json!({"role": "assistant", "content": text});
        self.happens(Event::ModelReplied(Box::new(ModelReplied {
            step,
            reply,
            text: text.into(),
            calls: Vec::new(),
            finish: Finish::Stop,
            usage: self.usage,
            model: "local/critic".into(),
            first_token_ms: 0,
            ms: 0,
            asked_again: 0,
            micro_usd: None,
        })))
    }

    /// A judge is not heard.
    pub(super) fn judge_fails(
        &mut self,
        step: u32,
        code: FailureCode,
        retryable: bool,
    ) -> &mut Play {
        let (message, attempt, ms, asked_again) = ("it failed".to_string(), 0, 0, 0);
        let failure =
            Failure { step, attempt, code, message, retryable, retry_at: None, ms, asked_again };
        self.happens(Event::StepFailed(failure))
    }

    /// The step in progress fails: the model's, or else the first tool's.
    pub(super) fn fails(
        &mut self,
        code: FailureCode,
        retryable: bool,
        retry_at: Option<i64>,
    ) -> &mut Play {
        let (model, tool) = (self.run.asking.as_ref(), self.run.tools.first());
        let step = model.map(|it| it.step).or(tool.map(|it| it.step)).expect("a step");
        let (message, attempt, ms, asked_again) = ("it failed".to_string(), 0, 0, 0);
        let failure =
            Failure { step, attempt, code, message, retryable, retry_at, ms, asked_again };
        self.happens(Event::StepFailed(failure))
    }

    /// The process of the step in progress goes away.
    pub(super) fn loses(&mut self) -> &mut Play {
        self.fails(FailureCode::InDoubt, true, None)
    }

    /// A tool that is performed answers.
    pub(super) fn returns(&mut self, call: &str, ok: bool, result: Value) -> &mut Play {
        let step = self.run.tools.iter().find(|it| it.call.id == call).expect("it is begun").step;
        self.happens(Event::ToolReturned {
            step,
            call: call.into(),
            ok,
            result,
            ms: 1,
            documents: vec![],
            files: vec![],
        })
    }

    /// The child that was made as the nth ends, counted from 1.
    pub(super) fn child_ends(&mut self, nth: usize, end: Finished) -> &mut Play {
        self.child_ends_by(nth, end, "")
    }

    /// It ends by a circle of these agents.
    pub(super) fn child_ends_by(&mut self, nth: usize, end: Finished, circle: &str) -> &mut Play {
        let it = self.run.children[nth - 1].handoff.clone();
        let (handoff, child, agent) = (Some(it.id), it.run, it.target);
        let (by, end, totals) = (agent.to_string(), Box::new(end), Totals::default());
        let (taint, slots) = (None, callboard_trace::memory::Entries::default());
        let circle = circle.split_whitespace().map(super::cast::name).collect();
        let ended = Event::ChildEnded { child, agent, handoff, end, totals, taint, slots, circle };
        self.happens_by(&by, ended)
    }

    /// It declines, and ends for that.
    pub(super) fn child_declines(&mut self, nth: usize, better: Option<&str>) -> &mut Play {
        let handoff = self.run.children[nth - 1].handoff.clone();
        let (reason, better) = ("not my trade".to_string(), better.map(name));
        let refused =
            Event::HandoffRefused { handoff: handoff.id, run: handoff.run, reason, better };
        self.happens(refused).child_ends(nth, failed("it declined"))
    }

    /// Somebody outside acts on the run.
    pub(super) fn controls(&mut self, action: Action, value: Value) -> &mut Play {
        let control = Control { action, value, reason: String::new() };
        self.happens(Event::Controlled(control))
    }

    /// Its end.
    pub(super) fn end(&self) -> &Finished {
        self.run.end.as_ref().expect("the run is over")
    }

    /// Its code and message of trouble.
    pub(super) fn trouble(&self) -> (FailureCode, &str) {
        let error = self.end().error.as_ref().expect("the run is not whole");
        (error.code, &error.message)
    }

    /// What the model was told last as the result of a call.
    pub(super) fn told(&self) -> &Value {
        let result = |it: &'_ Record| matches!(it.event, Event::ToolReturned { .. });
        let last = self.records.iter().rfind(|it| result(it)).expect("a call was answered");
        let Event::ToolReturned { result, .. } = &last.event else { unreachable!("just looked") };
        result
    }
}
