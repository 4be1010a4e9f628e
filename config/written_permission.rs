//! `permissions` of a team or an agent, and `approvals` of a team, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::fields::Fields;
use crate::nearest::did_you_mean;
use crate::pattern;
use crate::permission::{Act, Approvals, Pattern, Verdict};
use crate::permit::Permit;
use crate::place::At;
use crate::units::{OneOf, Seconds, Unit};

/// The longest time that a question stays open.
const EXPIRES_S: u64 = 31_536_000;

/// What may be done: `allow`, `ask` or `deny` by class of act, and lists of tools with patterns of what
/// they are used on. A pattern goes before its class, and the most careful one before others.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "permissions", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `permissions` reads, for the schema")]
pub(crate) struct WrittenPermissions {
    /// Reads inside the workspace. Default: `allow`.
    read: Option<Verdict>,
    /// Writes inside the workspace. Default: `ask`.
    write: Option<Verdict>,
    /// Runs a program. Default: `ask`.
    run: Option<Verdict>,
    /// Fetches from the network. Default: `ask`.
    fetch: Option<Verdict>,
    /// Changes something outside the workspace. Default: `ask`.
    external: Option<Verdict>,
    /// Done at once: `Bash(git status:*)`, `Edit(docs/**)`, `WebFetch(domain:docs.rs)`,
    /// `mcp__server__*`, or a class.
    allow: Option<OneOf<Vec<String>, String>>,
    /// Done when a person agrees.
    ask: Option<OneOf<Vec<String>, String>>,
    /// Never done.
    deny: Option<OneOf<Vec<String>, String>>,
}

/// When and how long people are asked for leave.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "approvals", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `approvals` reads, for the schema")]
pub(crate) struct WrittenApprovals {
    /// After which time what nobody allowed is not allowed. Default: 24h.
    expires_s: Option<Seconds>,
    /// Whether a run that read web pages or what tool servers answered asks before it runs a program or
    /// changes something outside, also where that is allowed. Default: `ask`.
    tainted: Option<Tainted>,
    /// Who gives leave to the runs of callers over HTTP without the scope `admin`. Default: `owner`.
    by: Option<By>,
}

/// Who gives leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "by", inline)]
enum By {
    /// The user of the machine, and tokens with the scope `admin`.
    Owner,
    /// Whoever called, too.
    Caller,
}

/// What becomes of risky acts of a run that read content of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "tainted", inline)]
enum Tainted {
    /// A person is asked.
    Ask,
    /// The permissions alone decide.
    Allow,
}

/// `permissions:` of an agent or of the team, in nobody's name yet.
pub(crate) fn permissions(fields: &Fields<'_>) -> Option<Permit> {
    let node = fields.node("permissions")?;
    let inner = Fields::open(node, fields.name("permissions"), fields.sink);
    let mut permit = Permit::default();
    for act in Act::ALL {
        if let Some(verdict) = inner.choice(act.word(), &["allow", "ask", "deny"]) {
            permit.classes.insert(act, verdict.value);
        }
    }
    for (verdict, key) in Verdict::LISTS {
        for text in inner.texts(key).unwrap_or_default() {
            add(&mut permit, verdict, key, text, &inner);
        }
    }
    for (key, place) in inner.rest() {
        let mut near = did_you_mean(key, Act::ALL.map(Act::word).into_iter().chain(LISTS));
        let help = if key.contains('(') || key.starts_with("mcp__") {
            near = "; patterns stand in lists".to_owned();
            format!("write `deny: [\"{key}\"]`, or the same with `ask` or `allow`")
        } else {
            format!("write one of {}, or lists of patterns", Act::ALL.map(Act::word).join(", "))
        };
        let said = format!("`{}` is no class of act{near}", inner.name(key));
        fields.sink.push(place.error(said, help));
    }
    Some(permit)
}

const LISTS: [&str; 3] = ["allow", "ask", "deny"];

/// Adds an entry of a list: a class of act, or a pattern. One that cannot be understood is an error in
/// every file: what it forbids would be done.
fn add(permit: &mut Permit, verdict: Verdict, key: &str, text: At<String>, fields: &Fields<'_>) {
    let At { place, value: text } = text;
    if let Some(act) = Act::ALL.into_iter().find(|it| it.word() == text) {
        let said = permit.classes.get(&act).copied().unwrap_or(verdict);
        permit.classes.insert(act, verdict.min(said));
    } else if let Some((said, help)) = pattern::problem(&text) {
        let name = fields.name(key);
        fields.sink.push(place.error(format!("`{text}` in `{name}`: {said}"), help));
    } else {
        permit.patterns.push(Pattern { text, verdict });
    }
}

/// `approvals:` of the team.
pub(crate) fn approvals(fields: &Fields<'_>) -> Approvals {
    let usual = Approvals::default();
    let Some(node) = fields.node("approvals") else { return usual };
    let inner = Fields::open(node, "approvals", fields.sink);
    let expires_s = inner.whole("expires_s", Unit::Seconds, 1..=EXPIRES_S);
    let tainted = inner.choice::<Tainted>("tainted", &["ask", "allow"]);
    let by = inner.choice::<By>("by", &["owner", "caller"]);
    inner.close();
    Approvals {
        expires_s: expires_s.map_or(usual.expires_s, |it| it.value),
        asks_when_tainted: tainted.is_none_or(|it| it.value == Tainted::Ask),
        hosts: vec![],
        by_callers: by.is_some_and(|it| it.value == By::Caller),
    }
}
