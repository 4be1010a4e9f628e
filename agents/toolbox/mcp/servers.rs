//! Every tool server of a team behind two questions: what can you do, and do it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use callboard_config::servers::{Pins, ToolServer, Trust};
use callboard_config::{Agent, ExposeSecret, Team};
use futures::future::BoxFuture;
use rmcp::model::{CallToolRequestParams, RequestMetaObject, Tool};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::calling::{Came, failed};
use super::line::{Chance, Line, Loan};
use super::listing::Held;
use super::{calling, listing};
use crate::asked_back::Given;
use crate::shelf::WAY_OUT;
use crate::toolbox::kept::Keeper;
use crate::toolbox::shown;

/// Longest wait for the list of a server's tools, its start included.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// A value shorter than this is no secret, and would be found in any text.
const SECRET_MIN: usize = 6;

/// The tool servers of a team. Cheap to make and to clone: a server is started when it is first
/// used, and clones share its connection.
#[derive(Clone)]
pub struct ToolServers {
    keeper: Option<Keeper>,
    lines: Arc<BTreeMap<String, (Line, Vec<String>)>>,
    /// What was agreed to of their tools.
    pins: Option<Pins>,
    shown: usize,
    answers: Option<Answers>,
}

/// What answers in a simulation, called once for each errand: a tool's name, or none to be told
/// what there is, and its arguments; whether it went well, and what came of it.
type Answers = Arc<dyn Fn(Option<&str>, &Value) -> BoxFuture<'static, (bool, Value)> + Send + Sync>;

/// One thing to ask of a tool server.
pub(crate) struct Errand {
    /// Its key.
    pub(crate) server: String,
    /// What it calls the tool; none to be told what there is.
    pub(crate) tool: Option<String>,
    /// The hash of its definition as the run recorded it; older runs have none.
    pub(crate) sha256: Option<String>,
    /// What the tool is given that asked something before it went on.
    pub(crate) given: Option<Given>,
    /// The agent that asks.
    pub(crate) agent: Arc<Agent>,
    /// W3C trace context of the step.
    pub(crate) traceparent: String,
}

/// What came of it, as it is recorded.
pub(crate) struct Done {
    pub(crate) ok: bool,
    pub(crate) result: Value,
    /// The whole text, where the model is shown only its beginning.
    pub(crate) whole: Option<Value>,
}

impl ToolServers {
    /// Starts nothing yet. `keeper` is the program that starts others and never outlives this one
    /// (`callboard keep`); without it no program is started. `chance` spreads restarts.
    pub fn new(team: &Team, keeper: Option<PathBuf>, chance: Chance) -> ToolServers {
        let keeper = keeper.map(|it| Keeper::of(team, it));
        let line = |server: &ToolServer| {
            let secrets = server.secrets.iter().map(|it| it.expose_secret().to_owned());
            let mut secrets: Vec<String> = secrets.filter(|it| it.len() >= SECRET_MIN).collect();
            secrets.sort_by_key(|it| std::cmp::Reverse(it.len()));
            (Line::new(server.clone(), keeper.clone(), chance.clone()), secrets)
        };
        let lines = team.servers.iter().map(|(key, it)| (key.clone(), line(it)));
        ToolServers {
            keeper: keeper.clone(),
            lines: Arc::new(lines.collect()),
            pins: team.trust.as_ref().map(Trust::pins),
            shown: team.limits.tool_output_bytes,
            answers: None,
        }
    }

    /// The same names, and behind all of them a simulation.
    pub fn simulated(self, answers: Answers) -> ToolServers {
        ToolServers { answers: Some(answers), ..self }
    }

    /// What starts programs for them, if anything does.
    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_ref()
    }

    /// Lets go of every server; what they started is gone soon after.
    pub fn close(&self) {
        self.lines.values().for_each(|it| it.0.close());
    }

    /// Runs one errand, in no more than `most`. What is wrong is told to the model.
    pub(crate) async fn run(&self, errand: &Errand, arguments: &Value, most: Duration) -> Done {
        let late = || format!("gave no answer in {} s", most.as_secs());
        if let Some(answers) = &self.answers {
            let answered = timeout(most, answers(errand.tool.as_deref(), arguments)).await;
            return match answered {
                Ok((ok, result)) => Done { ok, result, whole: None },
                Err(_) => self.lost(late(), &[]),
            };
        }
        let name = ToolServer::name_of(&errand.server);
        let Some((line, secrets)) = self.lines.get(&errand.server) else {
            let text = format!("tool server `{name}` is no longer in this team");
            return self.done(false, text, 0, &[]);
        };
        match &errand.tool {
            None => {
                let most = most.min(LIST_TIMEOUT);
                let listed =
                    timeout(most, self.list(line, secrets, errand)).await.unwrap_or_else(|_| {
                        Err(line.told(&format!("told no tools in {} s", most.as_secs())))
                    });
                match listed {
                    Ok(result) => Done { ok: true, result, whole: None },
                    Err(text) => self.lost(text, secrets),
                }
            }
            Some(_) => {
                // A task that takes too long is told of and cancelled before the time is up.
                let until = Instant::now() + most * 19 / 20;
                let call = self.call(line, secrets, errand, arguments, until);
                let called = timeout(most, call).await;
                line.answered(called.is_ok());
                let called = called.unwrap_or_else(|_| Err(line.told(&late())));
                match called {
                    Ok(Came::Told(ok, text, bytes)) => self.done(ok, text, bytes, secrets),
                    Ok(Came::Asks(asks)) => {
                        let result = clean(json!({ "asks": asks }), secrets);
                        Done { ok: true, result, whole: None }
                    }
                    Err(text) => self.lost(text, secrets),
                }
            }
        }
    }

    async fn list(
        &self,
        line: &Line,
        secrets: &[String],
        errand: &Errand,
    ) -> Result<Value, String> {
        let loan = line.borrow(&errand.traceparent).await?;
        let (tools, held) = self.look(line, &loan, secrets, &errand.server).await?;
        let (agent, server, secrets) =
            (errand.agent.clone(), errand.server.clone(), secrets.to_vec());
        let cards = move || clean(listing::cards(&agent, &server, tools, &held), &secrets);
        spawn_blocking(cards).await.map_err(|it| line.told(&format!("cannot be listed: {it}")))
    }

    /// Every tool of a server, held against what was agreed to, as whoever has the line knows it
    /// from then on.
    async fn look(
        &self,
        line: &Line,
        loan: &Loan,
        secrets: &[String],
        server: &str,
    ) -> Result<(Vec<Tool>, Arc<Held>), String> {
        let seen = loan.begin_look();
        let tools = listing::all(&loan.peer).await.map_err(|it| failed(line, loan, &it))?;
        let (pins, secrets, server) = (self.pins.clone(), secrets.to_vec(), server.to_owned());
        let hold = move || {
            let all = listing::definitions(&tools, |it| clean(it, &secrets));
            let changed = pins.map_or(Ok(vec![]), |it| it.hold(&server, &all))?;
            let held = all.into_iter().map(|(name, it)| {
                let is_agreed = changed.binary_search(&name).is_err();
                (name, (it.sha256, is_agreed))
            });
            Ok((tools, Arc::new(held.collect::<Held>())))
        };
        let held = spawn_blocking(hold).await.map_err(io::Error::other).flatten();
        let (tools, held) = held.map_err(|it: io::Error| {
            line.told(&format!("is not used: what its tools are cannot be kept: {it}"))
        })?;
        loan.looked(seen, &held);
        Ok((tools, held))
    }

    async fn call(
        &self,
        line: &Line,
        secrets: &[String],
        errand: &Errand,
        arguments: &Value,
        until: Instant,
    ) -> Result<Came, String> {
        let tool = errand.tool.as_deref().unwrap_or_default();
        let loan = line.borrow(&errand.traceparent).await?;
        let held = match loan.held() {
            Some(held) => held,
            None => self.look(line, &loan, secrets, &errand.server).await?.1,
        };
        if let Some(why) = other(&held, tool, errand.sha256.as_deref()) {
            return Ok(Came::badly(line.told(&format!("{why}; nothing was done"))));
        }
        let mut meta = RequestMetaObject::default();
        meta.set_traceparent(errand.traceparent.as_str());
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = arguments.as_object().cloned();
        params.meta = Some(meta);
        calling::call(line, &loan, params, errand.given.as_ref(), until).await
    }

    /// The outcome of a call that the server did not answer: it says nothing of the tool.
    fn lost(&self, text: String, secrets: &[String]) -> Done {
        let mut done = self.done(false, text, 0, secrets);
        done.result["unavailable"] = json!(true);
        done
    }

    /// The outcome without its secrets, and cut to what a model is shown.
    fn done(&self, ok: bool, text: String, bytes: usize, secrets: &[String]) -> Done {
        let text = secrets.iter().fold(text, |text, it| text.replace(it.as_str(), "[secret]"));
        let (text, whole) = shown::cut(text, bytes, self.shown);
        let result = if ok { json!(text) } else { json!({ "error": text }) };
        Done { ok, result, whole }
    }
}

/// A list without secrets; one that holds none is not made anew.
fn clean(list: Value, secrets: &[String]) -> Value {
    let text = list.to_string();
    if !secrets.iter().any(|it| text.contains(it.as_str())) {
        return list;
    }
    let text = secrets.iter().fold(text, |text, it| text.replace(it.as_str(), "[secret]"));
    serde_json::from_str(&text).unwrap_or_default()
}

/// Why a tool is not called: it is not what was agreed to, or not what the run was told of.
fn other(held: &Held, tool: &str, told: Option<&str>) -> Option<String> {
    let shown = crate::words::shown(tool);
    match held.get(tool) {
        None => Some(format!("has no tool `{shown}` any more")),
        Some((_, false)) => Some(format!("changed its tool `{shown}`: {}", WAY_OUT)),
        Some((now, true)) if told.is_some_and(|it| it != now) => {
            Some(format!("changed its tool `{shown}` since this run was told of it: begin anew"))
        }
        Some(_) => None,
    }
}
