//! One agent: its front matter and instructions, checked; its handoffs are joined later.

use std::collections::BTreeMap;

use crate::absent::{of_server, tell_absent_tools, tell_odd_tools};
use crate::agent::{Agent, AgentName, Kind};
use crate::answer;
use crate::budget::Caps;
use crate::front_matter::Parts;
use crate::hands;
use crate::model::Model;
use crate::models::Models;
use crate::permission::{Act, Grants, Verdict};
use crate::permit::Permit;
use crate::place::{At, Place, Sink};
use crate::written_agent::WrittenAgent;
use crate::written_budget;
use crate::written_edge::WrittenEdge;
use crate::written_guard::Read;
use crate::written_team::WrittenTeam;
use crate::yaml::Node;

/// Characters of a description, and of its first sentence.
const DESCRIPTION: usize = 300;
const SENTENCE: usize = 120;
/// Characters of a name.
const NAME: usize = 32;
const CAPABILITIES: usize = 20;
const CHOICES: usize = 20;
const AUTHORITY: f64 = 0.6;
const RESERVED: [&str; 4] = ["plan", "recruiter", "outside", "ask_agent"];

/// What every agent of a team stands on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) models: Models,
    /// Turns of an agent that sets none.
    pub(crate) turns: u32,
    /// What a run of an agent may spend that sets nothing.
    pub(crate) run: Caps,
    /// The team's `permissions`, complete.
    pub(crate) ceiling: Permit,
    /// Whether there are folders to see.
    pub(crate) has_roots: bool,
}

/// An agent without its handoffs, and what was written about them.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) agent: Agent,
    pub(crate) place: Place,
    /// Its name as it is written.
    pub(crate) written: String,
    pub(crate) handoffs: Vec<WrittenEdge>,
    pub(crate) handoffs_from: Vec<At<String>>,
    pub(crate) handoffs_deny: Vec<At<String>>,
    pub(crate) triggers: Vec<At<String>>,
    /// Tools that are switched on by name beside all others.
    pub(crate) switched_on: Vec<At<String>>,
    /// `mcpServers`, as it is written.
    pub(crate) servers: Option<Node>,
    /// Its own `guardrails`.
    pub(crate) guards: Vec<Read>,
}

impl Ground {
    /// As the team's file has it.
    pub(crate) fn of(models: Models, written: &WrittenTeam, has_roots: bool) -> Ground {
        let (turns, run) = (written.limits.turns, written.budgets.run);
        let Permit { classes, patterns, .. } = written.permissions.clone().unwrap_or_default();
        let ceiling = Permit::ceiling(classes, patterns);
        Ground { models, turns, run, ceiling, has_roots }
    }
}

impl Member {
    /// Checks one agent. `None` if it has no name or description; every error is in `sink`.
    pub(crate) fn check(parts: &Parts, stem: &str, ground: &Ground, sink: &Sink) -> Option<Member> {
        let written = WrittenAgent::read(&parts.front, "", sink);
        let place = parts.front.place.at(1);
        build(written, &parts.body, stem, &place, ground, sink)
    }
}

fn build(
    written: WrittenAgent,
    body: &str,
    stem: &str,
    place: &Place,
    ground: &Ground,
    sink: &Sink,
) -> Option<Member> {
    let named = written.name.clone().unwrap_or(At { place: place.clone(), value: stem.to_owned() });
    let name = name(&named, sink);
    let description = description(written.description.as_ref(), place, sink);
    let models = models(&written, ground, sink);
    let output = written.output.as_ref().filter(|it| has_use(it, &written, sink));
    let output = answer::with_output(output, sink);
    let capabilities = capabilities(&written.capabilities, sink);
    let (name, description) = (name?, description?);
    let body = instructions(&written, body, place, sink);
    tell_unused(&written, ground, sink);
    tell_odd_tools(written.tools.as_deref().unwrap_or_default(), &written.disallowed_tools, sink);
    let permit = permit(&written, &ground.ceiling);
    let hands = hands(&written, &permit, ground.has_roots);
    let choices = choices(&written, sink);
    let whole = |it: At<u64>| u32::try_from(it.value).ok();
    let texts = |all: Vec<At<String>>| all.into_iter().map(|it| it.value).collect::<Vec<_>>();
    let agent = Agent {
        name,
        instructions: if body.is_empty() { description.clone() } else { body.to_owned() },
        description,
        kind: written.kind,
        choices,
        models,
        temperature: written.temperature.map(|it| it.value),
        effort: written.effort,
        tools: written.tools.map(texts),
        disallowed_tools: texts(written.disallowed_tools),
        hands,
        servers: vec![],
        turns_are_its_own: written.max_turns.is_some(),
        budget: written.budget.map(|it| written_budget::caps(&it, "budget", ground.run, sink)),
        max_parallel: written.max_parallel.and_then(whole),
        breaker: written.breaker,
        max_turns: written.max_turns.and_then(whole).unwrap_or(ground.turns),
        capabilities,
        handoffs: vec![],
        class: written.class.unwrap_or_default(),
        authority: written.authority.map_or(AUTHORITY, |it| it.value),
        output,
        memory: written.memory.unwrap_or_default(),
        slots: written.slots.unwrap_or_default(),
        permissions: permit.classes,
        patterns: permit.patterns,
        grants: written.grants.unwrap_or(Grants::Own),
        publish: written.publish.unwrap_or(true),
        guards: vec![],
    };
    let At { place, value } = named;
    Some(Member {
        agent,
        place,
        written: value,
        switched_on: written.switched_on,
        handoffs: written.handoffs,
        handoffs_from: written.handoffs_from,
        handoffs_deny: written.handoffs_deny,
        triggers: written.triggers,
        servers: written.servers,
        guards: written.guards,
    })
}

/// The models that do its work; a person needs none.
fn models(written: &WrittenAgent, ground: &Ground, sink: &Sink) -> Vec<Model> {
    if written.kind == Kind::Human {
        return vec![];
    }
    let mut models = ground.models.chain(&written.model, sink);
    if let Some(most) = written.max_output.as_ref().and_then(|it| u32::try_from(it.value).ok()) {
        models.iter_mut().for_each(|it| it.max_output = most);
    }
    models
}

/// Keys a person has no use for, or tools that a model would have none of.
fn tell_unused(written: &WrittenAgent, ground: &Ground, sink: &Sink) {
    if written.kind == Kind::Human {
        return tell_models_keys(written, sink);
    }
    let is_ours = |it: &&At<String>| of_server(&it.value).is_none();
    let switched_on: Vec<_> = written.switched_on.iter().filter(is_ours).cloned().collect();
    tell_absent_tools(written.tools.as_deref().unwrap_or(&switched_on), ground.has_roots, sink);
}

/// What stands below the front matter, or in its `prompt`.
fn instructions<'a>(
    written: &'a WrittenAgent,
    body: &'a str,
    place: &Place,
    sink: &Sink,
) -> &'a str {
    let prompt = written.prompt.as_ref().map_or("", |it| it.value.as_str());
    let body = if body.is_empty() { prompt } else { body };
    if body.is_empty() && written.kind == Kind::Model {
        let said = "has no instructions below the front matter; its description is used";
        sink.push(place.warning(said, "write what the agent is to do and how"));
    }
    body
}

/// The built-in tools it has; a person has none.
fn hands(written: &WrittenAgent, permit: &Permit, has_roots: bool) -> Vec<String> {
    let (tools, taken_away) = (written.tools.as_deref(), &written.disallowed_tools);
    match written.kind {
        Kind::Model => {
            let most = |tool: &str, act| permit.most_of(tool, act);
            hands::of(tools, &written.switched_on, taken_away, most, has_roots)
        }
        Kind::Human => vec![],
    }
}

/// What it may do, its classes cut to the team's ceiling.
fn permit(written: &WrittenAgent, ceiling: &Permit) -> Permit {
    let permit = written.permissions.clone().unwrap_or_default();
    Permit { classes: cut(complete(permit.classes), ceiling), ..permit }
}

/// Reading is allowed, everything else asks, unless it is written otherwise.
fn complete(written: BTreeMap<Act, Verdict>) -> BTreeMap<Act, Verdict> {
    let usual = Act::ALL.into_iter().map(|act| (act, act.usual()));
    usual.chain(written).collect()
}

/// The classes as the ceiling leaves them, where no pattern of it leaves more.
fn cut(classes: BTreeMap<Act, Verdict>, ceiling: &Permit) -> BTreeMap<Act, Verdict> {
    classes.into_iter().map(|(act, verdict)| (act, verdict.min(ceiling.most(act)))).collect()
}

/// Reads a name; `API Designer`, as editors show it, is `api_designer`.
pub(crate) fn read_name(text: &str) -> Option<AgentName> {
    AgentName::parse(text).or_else(|| {
        let word =
            |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '_' };
        AgentName::parse(&text.trim().chars().map(word).collect::<String>())
    })
}

/// As much of a name as names may be here: without letters that are not ASCII, cut between words.
fn near_name(written: &At<String>, sink: &Sink) -> Option<AgentName> {
    let plain = |it: char| if it.is_ascii_alphanumeric() { it } else { ' ' };
    let plain: String = written.value.chars().map(plain).collect();
    let words =
        plain.split_whitespace().skip_while(|it| it.starts_with(|it: char| !it.is_alphabetic()));
    let words = words.collect::<Vec<_>>().join("_");
    let head = words.get(..NAME + 1).map_or(NAME, |it| it.rfind('_').unwrap_or(NAME));
    let is_short = words.len() <= NAME;
    let name = read_name(if is_short { &words } else { &words[..head] })?;
    let why = match is_short && words.len() != written.value.trim().len() {
        true => "has letters that no tool's name has".to_owned(),
        false => format!("has more than {NAME} characters"),
    };
    let said = format!("\"{}\" {why}; the agent is called \"{name}\"", written.value);
    sink.push(
        written.place.warning(said, "give it a `name` of 2 to 32 small letters, digits and `_`"),
    );
    Some(name)
}

fn name(written: &At<String>, sink: &Sink) -> Option<AgentName> {
    let Some(name) = read_name(&written.value).or_else(|| near_name(written, sink)) else {
        sink.push(written.place.error(
            format!("\"{}\" is no name for an agent", written.value),
            "use 2 to 32 small letters, digits and `_`, beginning with a letter",
        ));
        return None;
    };
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("team_") {
        sink.push(written.place.error(
            format!("\"{name}\" is a name of the product itself"),
            "give the agent another `name`",
        ));
        return None;
    }
    Some(name)
}

fn description(written: Option<&At<String>>, place: &Place, sink: &Sink) -> Option<String> {
    let Some(written) = written else {
        let help = "write one sentence: what the agent does and when to use it";
        sink.push(place.error("`description` is missing", help));
        return None;
    };
    let text = written.value.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let length = text.chars().count();
    let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first).chars().count();
    if length > DESCRIPTION {
        let said =
            format!("`description` has {length} characters; clients see the first {DESCRIPTION}");
        sink.push(written.place.warning(said, "say in one sentence when to use the agent"));
    } else if sentence > SENTENCE {
        let said =
            format!("the first sentence of `description` is longer than {SENTENCE} characters");
        sink.push(written.place.warning(said, ""));
    }
    Some(shortened(&text))
}

/// The first 300 characters, ended at a sentence or a word and before any example.
fn shortened(text: &str) -> String {
    let most = text.char_indices().nth(DESCRIPTION).map_or(text.len(), |(at, _)| at);
    if most == text.len() {
        return text.to_owned();
    }
    let head = &text[..most];
    let head = head.split("<example>").next().filter(|it| !it.trim().is_empty()).unwrap_or(head);
    match head.rfind(". ") {
        Some(end) => head[..=end].to_owned(),
        None if head.len() < most => head.trim_end().to_owned(),
        None => {
            let words = &head[..head.rfind(' ').unwrap_or(head.len())];
            let room = words.char_indices().nth(DESCRIPTION - 1).map_or(words.len(), |(at, _)| at);
            format!("{}…", &words[..room])
        }
    }
}

fn capabilities(written: &[At<String>], sink: &Sink) -> Vec<String> {
    if let Some(more) = written.get(CAPABILITIES) {
        let said = format!("`capabilities` holds {}, more than {CAPABILITIES}", written.len());
        sink.push(more.place.error(said, "keep those that tell this agent from the others"));
    }
    written.iter().filter_map(|it| slug(it, sink)).collect()
}

/// A capability as it is compared; one that is none is in `sink`.
pub(crate) fn slug(written: &At<String>, sink: &Sink) -> Option<String> {
    let slug = written.value.to_lowercase().replace([' ', '_'], "-");
    let fits =
        slug.len() <= 80 && slug.chars().all(|it| it.is_alphanumeric() || "-.+#/".contains(it));
    if !fits {
        let said = format!("\"{}\" is no capability", written.value);
        sink.push(written.place.error(said, "write a short word such as `unit-test`"));
    }
    fits.then_some(slug)
}

/// What a person may choose from.
fn choices(written: &WrittenAgent, sink: &Sink) -> Vec<String> {
    let all = &written.choices;
    if let Some(first) = all.first().filter(|_| written.kind != Kind::Human) {
        sink.push(first.place.warning("`choices` is only for `kind: human`", "remove it"));
        return vec![];
    }
    if let Some(more) = all.get(CHOICES) {
        let said = format!("`choices` holds {}, more than {CHOICES}", all.len());
        sink.push(more.place.error(said, "leave it out: then any text is an answer"));
    }
    all.iter().map(|it| it.value.clone()).collect()
}

/// Whether `output` is used: where a person only chooses, the choice is the whole answer.
fn has_use(output: &Node, written: &WrittenAgent, sink: &Sink) -> bool {
    let chooses = written.kind == Kind::Human && !written.choices.is_empty();
    if chooses && output.text() != Some("answer") {
        let said = "`output` is not used beside `choices`: the choice is the whole answer";
        sink.push(output.place.warning(said, "remove one of them"));
    }
    !chooses
}

/// Keys that mean nothing where a person does the work, told once.
fn tell_models_keys(written: &WrittenAgent, sink: &Sink) {
    let Some((_, place)) = written.of_models.first() else { return };
    let keys: Vec<String> = written.of_models.iter().map(|it| format!("`{}`", it.0)).collect();
    let said = format!("a person has no use for {}", keys.join(", "));
    sink.push(place.warning(said, "remove it, or remove `kind: human`"));
}
