//! The outside of a simulated team: models that answer, stumble, hang or talk nonsense, and a bank.

use std::sync::Arc;
use std::time::Duration;

use callboard_agents::ToolServers;
use callboard_agents::model::{Fault, Models, Reply, Request};
use callboard_config::Team;
use callboard_store::Store;
use callboard_trace::{
    Call, Event, FailureCode, Finish, Purpose, Record, RunId, StepBegun, Usage, Work,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{Body, Scene, inside, sure};

/// Records of a run that are looked through for the one that lets a step begin.
const LAST: u32 = 60;

/// What one process reaches the outside with.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) scene: Arc<Scene>,
    pub(crate) observer: Store,
    pub(crate) body: Arc<Body>,
}

impl Outside {
    pub(crate) fn models(&self, team: &Team) -> Models {
        let outside = self.clone();
        Models::simulated(
            &team.providers,
            Arc::new(move |request| {
                let (outside, request) = (outside.clone(), request.clone());
                Box::pin(async move { outside.answers(&request).await })
            }),
        )
    }

    pub(crate) fn servers(&self, team: &Team) -> ToolServers {
        let outside = self.clone();
        ToolServers::new(team, None, Arc::new(|| 0)).simulated(Arc::new(move |tool, given| {
            let (outside, tool, given) = (outside.clone(), tool.map(str::to_owned), given.clone());
            Box::pin(async move { outside.uses(tool.as_deref(), &given).await })
        }))
    }

    /// A dead process reaches nothing any more, though its tasks may not know yet.
    async fn lives(&self) {
        if self.body.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn answers(&self, request: &Request) -> Result<Reply, Fault> {
        self.lives().await;
        let (scene, run) = (&self.scene, RunId::from_text(request.run.clone()));
        let _performance = scene.performs(&run, &self.body, &request.model);
        let is_it = |it: &StepBegun| {
            let Work::Model { purpose, .. } = &it.work else { return false };
            it.attempt == request.attempt && *purpose == request.purpose
        };
        self.has_begun(&run, is_it, "a model is asked").await;
        scene.counts(&self.observer).await;
        if scene.percent(scene.weather.faults) {
            return Err(self.stumbles().await);
        }
        let took = scene.ms(40, 4_000);
        sleep(took).await;
        let (text, calls, finish) = self.says(request, &run);
        Ok(reply(text, calls, finish, took))
    }

    /// Fails unless the journal says that such a step has begun: nothing is done before that.
    async fn has_begun(&self, run: &RunId, is_it: impl Fn(&StepBegun) -> bool, what: &str) {
        let last = sure!(self.observer.latest(run, LAST));
        let begun = |it: &Record| matches!(&it.event, Event::StepBegun(it) if is_it(it));
        if !last.iter().any(begun) {
            self.scene.wrong(format!("{what} for {run}, and no record says that it begins"));
        }
    }

    async fn stumbles(&self) -> Fault {
        let scene = &self.scene;
        let fault = |code, retryable, retry_after| Fault {
            code,
            message: "simulated".into(),
            retryable,
            retry_after,
            ms: 1,
            asked_again: 0,
            learned: vec![],
        };
        sleep(scene.ms(5, 2_000)).await;
        match scene.below(20) {
            0..7 => fault(FailureCode::ModelUnavailable, true, None),
            7..12 => fault(FailureCode::RateLimited, true, Some(scene.ms(200, 20_000))),
            12..14 => fault(FailureCode::RateLimited, true, None),
            14..16 => fault(FailureCode::BadReply, true, None),
            16 => fault(FailureCode::ContextOverflow, false, None),
            17 => fault(FailureCode::Unauthorized, false, None),
            _ => {
                sleep(scene.ms(5_000, 60_000)).await;
                fault(FailureCode::Timeout, true, None)
            }
        }
    }

    /// What a model says to a question.
    fn says(&self, request: &Request, run: &RunId) -> (String, Vec<Call>, Finish) {
        let scene = &self.scene;
        match &request.purpose {
            Purpose::Turn => (),
            Purpose::Summarise { .. } => {
                return (json!({"summary": self.summary()}).to_string(), vec![], Finish::Stop);
            }
            Purpose::Judge { .. } => {
                let verdict =
                    json!({"score": scene.below(11) as f64 / 10.0, "reasons": ["so it is"]});
                return (verdict.to_string(), vec![], Finish::Stop);
            }
            Purpose::Finalise | Purpose::Repair { .. } => return self.conclusion(),
        }
        let name = |it: &Value| it["function"]["name"].as_str().unwrap_or_default().to_owned();
        let tools: Vec<String> = request.tools.all().iter().map(name).collect();
        let is_late = request.turn > 3 && scene.percent(70);
        let mut calls: Vec<(String, Value)> = Vec::new();
        let has = |name: &str| tools.iter().any(|it| it == name);
        let pays = has("mcp__bank__pay") && scene.percent(40);
        match if pays { 60 } else { scene.below(if is_late { 40 } else { 100 }) } {
            40..48 => calls.push(("note".into(), self.note())),
            48..54 => calls.push(("team_status".into(), json!({}))),
            54..72 => {
                for _ in 0..=scene.below(3) {
                    calls.extend(self.errand(&tools, run));
                }
            }
            72..80 if has("delegate") => {
                for _ in 0..=scene.below(2) {
                    calls.push(("delegate".into(), self.handing(request)));
                }
            }
            80..88 if has("handoff") => calls.push(("handoff".into(), self.handing(request))),
            88..91 if has("refuse_handoff") => {
                calls.push(("refuse_handoff".into(), json!({"reason": "this is not mine to do"})));
            }
            91..94 => calls.push(("sing".into(), json!({"loud": true}))),
            94 => return (String::new(), vec![], Finish::Stop),
            95 => return ("no.".into(), vec![], Finish::ContentFilter),
            96 => return ("{\"summary\": \"cut o".into(), vec![], Finish::Length),
            _ => (),
        }
        if calls.is_empty() {
            return self.conclusion();
        }
        let numbered = calls.into_iter().enumerate();
        let call = |(at, (tool, arguments))| Call {
            id: format!("call_{at}"),
            tool,
            arguments: Ok(arguments),
        };
        (String::new(), numbered.map(call).collect(), Finish::ToolCalls)
    }

    /// An answer, as a rule one that meets every schema of the team.
    fn conclusion(&self) -> (String, Vec<Call>, Finish) {
        let scene = &self.scene;
        let mut answer = json!({"summary": "it is done", "confidence": 0.8, "files": ["a", "b"]});
        match scene.below(20) {
            0 => return ("it went well, in my own words".into(), vec![], Finish::Stop),
            1 => answer["files"] = json!("none"),
            2 => answer["do_next"] = json!("test it"),
            3 => answer["do_next"] = json!("implement it"),
            _ => (),
        }
        (answer.to_string(), vec![], Finish::Stop)
    }

    fn summary(&self) -> Value {
        if self.scene.percent(15) {
            return json!({"did": "a bit"});
        }
        json!({
            "did": "looked at the task and at what is there", "must_know": "use tokio",
            "do_next": "go on with it",
        })
    }

    fn note(&self) -> Value {
        let text = format!("noted {}", self.scene.below(1_000));
        json!({"slot": "notes", "key": "k", "text": text})
    }

    /// Arguments of a handoff: to somebody whom the tool names, or to nobody.
    fn handing(&self, request: &Request) -> Value {
        let tools = request.tools.all();
        let schema = tools.iter().find(|it| it["function"]["name"] == "handoff");
        let to = schema.map(|it| &it["function"]["parameters"]["properties"]["to"]["enum"]);
        let to = to.and_then(Value::as_array).cloned().unwrap_or_default();
        let to = if self.scene.percent(5) || to.is_empty() {
            json!("nobody")
        } else {
            self.scene.one(&to)
        };
        json!({"to": to, "task": "a part of it", "summary": self.summary(), "reason": "better"})
    }

    /// A call of a tool of the bank, if the agent has them; each payment has a token of its own.
    fn errand(&self, tools: &[String], run: &RunId) -> Option<(String, Value)> {
        let wanted = if self.scene.percent(60) { "mcp__bank__pay" } else { "mcp__bank__look" };
        let tool = tools.iter().find(|it| *it == wanted)?;
        let mut noted = inside(&self.scene.noted);
        let token = format!("t{}", noted.tokens.len());
        noted.tokens.insert(token.clone(), run.clone());
        Some((tool.clone(), json!({"token": token})))
    }

    async fn uses(&self, tool: Option<&str>, given: &Value) -> (bool, Value) {
        self.lives().await;
        let scene = &self.scene;
        let Some(tool) = tool else {
            sleep(scene.ms(5, 500)).await;
            return if scene.percent(10) {
                (false, json!({"error": "no list today"}))
            } else {
                (true, cards())
            };
        };
        let token = given["token"].as_str().unwrap_or_default().to_owned();
        let run = inside(&scene.noted).tokens.get(&token).cloned();
        let Some(run) = run else {
            scene.wrong(format!("{tool} is called with a token that nobody has: {given}"));
            return (false, Value::Null);
        };
        let _performance = scene.performs(&run, &self.body, "bank");
        if tool == "pay" {
            *inside(&scene.noted).paid.entry(token.clone()).or_default() += 1;
        }
        let is_it = |it: &StepBegun| {
            let Work::Tool { arguments, .. } = &it.work else { return false };
            arguments["token"] == *token
        };
        self.has_begun(&run, is_it, "a tool is called").await;
        scene.counts(&self.observer).await;
        sleep(scene.ms(5, 12_000)).await;
        if scene.percent(10) {
            return (false, json!({"error": "the bank is closed"}));
        }
        (true, json!(format!("{tool} of {token} went well")))
    }
}

/// The tools of the bank as a run records them: one that may be called again, and one that may not.
fn cards() -> Value {
    let card = |name: &str, reads: bool| {
        json!({
            "name": name, "description": "of the bank", "readOnlyHint": reads,
            "idempotentHint": false, "inputSchema": {"type": "object", "required": ["token"],
                "properties": {"token": {"type": "string"}}},
        })
    };
    json!({"tools": [card("look", true), card("pay", false)]})
}

fn reply(text: String, calls: Vec<Call>, finish: Finish, took: Duration) -> Reply {
    let ms = u64::try_from(took.as_millis()).unwrap_or(0);
    let call = |it: &Call| {
        let arguments = it.arguments.clone().unwrap_or_default().to_string();
        json!({"id": it.id, "type": "function",
            "function": {"name": it.tool, "arguments": arguments}})
    };
    let mut raw = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        raw["tool_calls"] = calls.iter().map(call).collect();
    }
    let usage = Usage { input: 900 + ms, output: 100 + ms / 10, ..Usage::default() };
    let (first_token_ms, asked_again, learned) = (ms / 2, 0, vec![]);
    Reply { raw, text, calls, finish, usage, first_token_ms, ms, asked_again, learned }
}
