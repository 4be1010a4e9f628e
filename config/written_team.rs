//! `team.yaml` as it is written: its keys, read one by one, before anything is looked up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::budget::Budgets;
use crate::fields::Fields;
use crate::hands::Fetch;
use crate::limits::Limits;
use crate::memory::{self, Memory, WrittenMemory};
use crate::permission::Approvals;
use crate::permit::Permit;
use crate::place::{At, Place, Sink};
use crate::policy::{Breaker, Ranking, Resources, Retain};
use crate::sandbox::WrittenCommands;
use crate::units::{OneOf, Seconds, Switch, Unit};
use crate::written_agent::WrittenAgent;
use crate::written_budget::{self, WrittenBudgets};
use crate::written_edge::{WrittenHandoffs, handoffs};
use crate::written_fetch::{self, WrittenFetch};
use crate::written_guard::{self, Read, WrittenGuard};
use crate::written_http::WrittenHttp;
use crate::written_limits::{self, WrittenLimits};
use crate::written_permission::{WrittenApprovals, WrittenPermissions, approvals, permissions};
use crate::written_policy::{self, WrittenRanking, WrittenRetain, WrittenRoute, WrittenThrottle};
use crate::written_resource::{self, WrittenBreaker, WrittenResource};
use crate::written_server::{WrittenServer, entries};
use crate::yaml::{Node, Value};

/// Keys of the whole design that this version does not act on.
const LATER: [&str; 2] = ["telemetry", "workflows"];

/// The most that an endpoint is counted to take in a minute.
const PER_MIN: u64 = 1_000_000_000_000;

/// The file `team.yaml`; every key may be left out.
#[derive(Debug, Default, JsonSchema)]
#[schemars(title = "Callboard team", rename = "team", deny_unknown_fields)]
pub(crate) struct WrittenTeam {
    /// The team's name, shown to clients and in traces. Default: the folder's name.
    pub(crate) team: Option<At<String>>,
    /// The agent for work nobody is named for. Default: `coordinator`, else the only agent.
    pub(crate) entry: Option<At<String>>,
    /// The walled area that tasks belong to. Default: `default`.
    pub(crate) workspace: Option<At<String>>,
    /// What the team is for, in your words.
    pub(crate) goal: Option<At<String>>,
    /// Changes to single agents, by name: the same keys as in their files.
    #[schemars(with = "Option<BTreeMap<String, WrittenAgent>>")]
    pub(crate) agents: Vec<(At<String>, Node)>,
    /// Model endpoints by name. Default: one from OPENAI_BASE_URL and OPENAI_API_KEY.
    #[schemars(with = "Option<BTreeMap<String, WrittenProvider>>")]
    pub(crate) providers: Vec<WrittenProvider>,
    /// Models by alias; `default` is for the agents that name none.
    #[schemars(with = "Option<BTreeMap<String, OneOf<String, WrittenModel>>>")]
    pub(crate) models: Vec<WrittenModel>,
    /// The bounds of the product, one by one.
    #[schemars(with = "Option<WrittenLimits>")]
    pub(crate) limits: Limits,
    /// What runs, tasks and days may spend.
    #[schemars(with = "Option<WrittenBudgets>")]
    pub(crate) budgets: Budgets,
    /// What steps share, by name: APIs, databases, tool servers. A tool server takes the resource
    /// of its name.
    #[schemars(with = "Option<BTreeMap<String, WrittenResource>>")]
    pub(crate) resources: Resources,
    /// The resource that a tool takes, by the tool's name or glob; the first that fits counts.
    #[expect(dead_code, reason = "stands here for the schema; it is read into `resources`")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) tools: (),
    /// How the order of the queue is found.
    #[schemars(with = "Option<WrittenRanking>")]
    pub(crate) priority: Ranking,
    /// Who gets work that nobody is named for.
    #[schemars(with = "Option<WrittenRoute>")]
    pub(crate) route: Option<Node>,
    /// When nothing new begins because the machine is busy; `off` = never. Default: above 80 %.
    #[schemars(with = "Option<OneOf<WrittenThrottle, Switch>>")]
    pub(crate) throttle: Option<Node>,
    /// For how many days after its end a task is kept; `off` = for ever. Default: 365, with the long
    /// texts of what was said and done on the way for 90.
    #[schemars(with = "Option<OneOf<WrittenRetain, Switch>>")]
    pub(crate) retain: Retain,
    /// MCP servers whose tools the agents may use, by name.
    #[schemars(rename = "mcpServers", with = "Option<BTreeMap<String, WrittenServer>>")]
    pub(crate) servers: Vec<(At<String>, Node)>,
    /// What commands of the tool Bash reach.
    #[schemars(with = "Option<WrittenCommands>")]
    pub(crate) bash: Option<Node>,
    /// What is remembered beyond a task; `off` = nothing, also of a conversation.
    #[schemars(with = "Option<OneOf<WrittenMemory, Switch>>")]
    pub(crate) memory: Memory,
    /// How agents hand over.
    #[schemars(with = "Option<WrittenHandoffs>")]
    pub(crate) handoffs: WrittenHandoffs,
    /// What clients may expect.
    #[schemars(with = "Option<WrittenClients>")]
    pub(crate) clients: WrittenClients,
    /// Who may reach the team over HTTP.
    #[schemars(with = "Option<WrittenHttp>")]
    pub(crate) http: Option<Node>,
    /// The PostgreSQL server that keeps the runs: `env:NAME` or `file:PATH`. Default: a file does.
    pub(crate) store: Option<At<String>>,
    /// The folders whose files the agents may see, from this file's folder; the first is where
    /// relative paths begin. Default: the folder that the team was found in.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) roots: Option<Vec<At<String>>>,
    /// What the agents may fetch from the web.
    #[schemars(with = "Option<WrittenFetch>")]
    pub(crate) fetch: Fetch,
    /// The agents that are tools of their own. Default: all.
    pub(crate) publish: Option<Vec<At<String>>>,
    /// The ceiling over what any agent may do. Default: everything that its own file allows.
    #[schemars(with = "Option<WrittenPermissions>")]
    pub(crate) permissions: Option<Permit>,
    /// When and how long people are asked for leave.
    #[schemars(with = "Option<WrittenApprovals>")]
    pub(crate) approvals: Approvals,
    /// What is checked at the borders of every run.
    #[schemars(rename = "guardrails", with = "Option<Vec<WrittenGuard>>")]
    pub(crate) guards: Vec<Read>,
}

/// What clients may expect.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "clients", deny_unknown_fields)]
pub(crate) struct WrittenClients {
    /// What becomes of open runs when a client goes away: `finish` has a process of their own work
    /// on until they are done, `leave` leaves them to the next process. Default: `finish`.
    #[schemars(with = "Option<OnDisconnect>")]
    pub(crate) on_disconnect: OnDisconnect,
}

/// What becomes of open runs when the client of a process goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "on_disconnect")]
pub(crate) enum OnDisconnect {
    /// A process without a client finishes them and ends.
    #[default]
    Finish,
    /// They wait for the next process.
    Leave,
}

/// A model endpoint, as written.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "provider", deny_unknown_fields)]
pub(crate) struct WrittenProvider {
    /// Its key in `providers`.
    #[schemars(skip)]
    pub(crate) name: At<String>,
    /// How it is spoken to. Default: `openai`.
    #[schemars(with = "Option<Kind>")]
    pub(crate) kind: Kind,
    /// Such as `http://localhost:11434/v1`.
    pub(crate) base_url: Option<At<String>>,
    /// Where the key is: `env:NAME` or `file:PATH`; left out for local servers.
    pub(crate) api_key: Option<At<String>>,
    /// Sent with every request; secrets as `env:NAME` or `file:PATH`.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) headers: Vec<(String, At<String>)>,
    /// Steps in progress at once. Default: unlimited.
    pub(crate) concurrency: Option<u32>,
    /// Requests in a minute. Default: as many as the endpoint turns out to take.
    #[schemars(range(min = 1))]
    pub(crate) requests_per_min: Option<At<u64>>,
    /// Tokens in a minute, in and out. Default: as many as the endpoint turns out to take.
    #[schemars(range(min = 1))]
    pub(crate) tokens_per_min: Option<At<u64>>,
    /// When each of its models is left alone.
    #[schemars(with = "Option<WrittenBreaker>")]
    pub(crate) breaker: Breaker,
    /// Time to connect, 10 s.
    #[schemars(with = "Option<Seconds>")]
    pub(crate) connect_s: Option<At<u64>>,
    /// Time without a byte, 60 s.
    #[schemars(with = "Option<Seconds>")]
    pub(crate) idle_s: Option<At<u64>>,
    /// Time for a whole attempt, 600 s.
    #[schemars(with = "Option<Seconds>")]
    pub(crate) timeout_s: Option<At<u64>>,
    /// Whether replies are streamed. Default: true.
    #[schemars(with = "Option<Switch>")]
    pub(crate) stream: Option<bool>,
    /// How the endpoint calls the limit of a reply. Default: `max_tokens`.
    pub(crate) max_tokens_field: Option<At<TokensField>>,
    /// Which API models are asked over. Default: `auto`, chat completions until the endpoint says
    /// that it serves only responses.
    #[schemars(with = "Option<Api>")]
    pub(crate) api: Api,
    /// The rehearsal model's answers: a YAML file, from this file's folder.
    pub(crate) playbook: Option<At<String>>,
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "kind")]
pub(crate) enum Kind {
    /// Any OpenAI-compatible endpoint.
    #[default]
    Openai,
    /// The built-in model that works offline.
    Rehearsal,
}

/// Which API models are asked over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "api", inline)]
pub(crate) enum Api {
    /// Chat completions, and responses once an endpoint says that it serves no chat.
    #[default]
    Auto,
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
}

/// How an endpoint calls the limit of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "max_tokens_field", inline)]
pub(crate) enum TokensField {
    /// What most endpoints take.
    MaxTokens,
    /// What newer OpenAI models take.
    MaxCompletionTokens,
}

/// A model alias, as written; the short form is `provider/model`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "model", deny_unknown_fields)]
pub(crate) struct WrittenModel {
    /// Its key in `models`.
    #[schemars(skip)]
    pub(crate) alias: At<String>,
    /// A key of `providers`; may be left out if there is only one.
    pub(crate) provider: Option<At<String>>,
    /// The name the provider knows it by.
    pub(crate) model: At<String>,
    /// What is tried next, in order: aliases or `provider/model`.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) fallback: Vec<At<String>>,
    /// Tokens of prompt and reply together, 128,000.
    pub(crate) context: Option<At<u64>>,
    /// Most tokens of one reply, 4,096.
    pub(crate) max_output: Option<At<u64>>,
}

impl WrittenTeam {
    /// Reads the keys; whatever is wrong is in `sink` and counts as not written.
    pub(crate) fn read(node: &Node, sink: &Sink) -> WrittenTeam {
        let fields = Fields::open(node, "", sink);
        let providers = fields.entries("providers");
        let models = fields.entries("models");
        let team = WrittenTeam {
            team: fields.text("team"),
            entry: fields.text("entry"),
            workspace: fields.text("workspace"),
            goal: fields.text("goal"),
            agents: fields
                .entries("agents")
                .iter()
                .map(|(key, node)| (named(&key.name, &key.place), node.clone()))
                .collect(),
            providers: providers
                .iter()
                .map(|(key, node)| provider(named(&key.name, &key.place), node, sink))
                .collect(),
            models: models
                .iter()
                .filter_map(|(key, node)| model(named(&key.name, &key.place), node, &fields))
                .collect(),
            limits: fields
                .node("limits")
                .map_or_else(Limits::default, |it| written_limits::read(it, sink)),
            budgets: fields
                .node("budgets")
                .map_or_else(Budgets::default, |it| written_budget::budgets(it, sink)),
            resources: written_resource::resources(&fields),
            tools: (),
            priority: fields
                .node("priority")
                .map_or_else(Ranking::default, |it| written_policy::ranking(it, sink)),
            route: fields.node("route").cloned(),
            throttle: fields.node("throttle").cloned(),
            retain: written_policy::retain(&fields),
            servers: fields.node("mcpServers").map(entries).unwrap_or_default(),
            bash: fields.node("bash").cloned(),
            memory: memory::of_team(&fields),
            handoffs: handoffs(&fields),
            clients: clients(&fields),
            http: fields.node("http").cloned(),
            store: fields.text("store"),
            roots: fields.texts("roots"),
            fetch: written_fetch::read(&fields),
            publish: fields.texts("publish"),
            permissions: permissions(&fields),
            approvals: approvals(&fields),
            guards: written_guard::read(&fields),
        };
        for key in LATER {
            if let Some(node) = fields.node(key) {
                sink.push(node.place.error(
                    format!("`{key}` is not supported by this version"),
                    "remove it: what it asks for would not be done",
                ));
            }
        }
        fields.close();
        team
    }
}

fn clients(fields: &Fields<'_>) -> WrittenClients {
    let Some(node) = fields.node("clients") else { return WrittenClients::default() };
    let inner = Fields::open(node, "clients", fields.sink);
    let on_disconnect = inner.choice("on_disconnect", &["finish", "leave"]);
    inner.close();
    let on_disconnect = on_disconnect.map(|it| it.value).unwrap_or_default();
    WrittenClients { on_disconnect }
}

fn provider(name: At<String>, node: &Node, sink: &Sink) -> WrittenProvider {
    let fields = Fields::open(node, format!("providers.{}", name.value), sink);
    let headers = fields.entries("headers");
    let provider = WrittenProvider {
        kind: fields
            .choice("kind", &["openai", "rehearsal"])
            .map(|it| it.value)
            .unwrap_or_default(),
        base_url: fields.text("base_url"),
        api_key: fields.text("api_key"),
        headers: headers
            .iter()
            .filter_map(|(key, node)| Some((key.name.clone(), fields.text_of(node, "headers")?)))
            .collect(),
        concurrency: written_resource::concurrency(&fields),
        requests_per_min: fields.whole("requests_per_min", Unit::Count, 1..=PER_MIN),
        tokens_per_min: fields.whole("tokens_per_min", Unit::Count, 1..=PER_MIN),
        breaker: written_resource::breaker(&fields),
        connect_s: fields.whole("connect_s", Unit::Seconds, 1..=600),
        idle_s: fields.whole("idle_s", Unit::Seconds, 1..=3_600),
        timeout_s: fields.whole("timeout_s", Unit::Seconds, 1..=86_400),
        stream: fields.flag("stream"),
        max_tokens_field: fields
            .choice("max_tokens_field", &["max_tokens", "max_completion_tokens"]),
        api: fields
            .choice("api", &["auto", "chat", "responses"])
            .map(|it| it.value)
            .unwrap_or_default(),
        playbook: fields.text("playbook"),
        name,
    };
    fields.close();
    provider
}

fn model(alias: At<String>, node: &Node, team: &Fields<'_>) -> Option<WrittenModel> {
    let path = format!("models.{}", alias.value);
    if !matches!(node.value, Value::Map(_)) {
        let model = team.text_of(node, &path)?;
        let (fallback, context, max_output) = (vec![], None, None);
        return Some(WrittenModel { alias, provider: None, model, fallback, context, max_output });
    }
    let fields = Fields::open(node, path, team.sink);
    let model = fields.text("model");
    if model.is_none() && fields.node("model").is_none() {
        fields.sink.push(alias.place.error(
            format!("`models.{}` names no model", alias.value),
            "write `model: NAME`, as the provider knows it",
        ));
    }
    let provider = fields.text("provider");
    let fallback = fields.texts("fallback").unwrap_or_default();
    let context = fields.whole("context", Unit::Count, 1_000..=10_000_000);
    let max_output = fields.whole("max_output", Unit::Count, 1..=1_000_000);
    fields.close();
    Some(WrittenModel { alias, provider, model: model?, fallback, context, max_output })
}

fn named(name: &str, place: &Place) -> At<String> {
    At { place: place.clone(), value: name.to_owned() }
}
