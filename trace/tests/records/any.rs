//! Values as hostile as a journal has to hold: text, numbers, nesting, and what is built of them.

use std::collections::BTreeMap;

use callboard_config::budget::Caps;
use callboard_config::memory::{Access, Slot, Slots};
use callboard_config::permit::{Approvals, Grants, Pattern, Permit};
use callboard_config::{Act, Agent, AgentName, Class, Edge, Kind, Mode, Model, Verdict};
use callboard_trace::rank::Points;
use callboard_trace::{
    ArtifactRef, Finished, Fuses, Growth, Handoff, MadeBy, RunId, Started, Summary, Totals,
};
use callboard_trace::{EndState, FailureCode, Missing, Stop, Trouble};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::notes::{entries, recall};

/// What has broken readers and writers of JSON before.
const HOSTILE: &[&str] = &[
    "",
    "\0",
    "a\r\nb\tc\u{b}\u{c}\u{1b}[2J\u{7f}\u{85}",
    r"\ud800 \u0000 \x \",
    "\"}]}{\\\"",
    "\u{feff}\u{2028}\u{2029}\u{202e}\u{200d}",
    "\u{fffd}\u{ffff}\u{10ffff}",
    "null",
    "{\"kind\":\"run_ended\"}",
    "👩‍👩‍👧 ﷽ e\u{301}",
];

pub(crate) fn text() -> BoxedStrategy<String> {
    let letters = vec(any::<char>(), 0..24).prop_map(String::from_iter);
    let hostile = proptest::sample::select(HOSTILE).prop_map(str::to_owned);
    let long = any::<char>().prop_map(|it| String::from_iter([it; 20_000]));
    prop_oneof![30 => letters, 30 => hostile, 1 => long].boxed()
}

pub(crate) fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 0..3).boxed()
}

pub(crate) fn name() -> BoxedStrategy<AgentName> {
    "[a-z][a-z0-9_]{1,31}".prop_filter_map("a name", |it| AgentName::parse(&it)).boxed()
}

pub(crate) fn names() -> BoxedStrategy<Vec<AgentName>> {
    vec(name(), 0..3).boxed()
}

pub(crate) fn run() -> BoxedStrategy<RunId> {
    let named = any::<u128>().prop_map(RunId::new);
    prop_oneof![named, text().prop_map(RunId::from_text)].boxed()
}

/// Every number but those that JSON has no word for.
pub(crate) fn float() -> BoxedStrategy<f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    let odd = proptest::sample::select(&[0.1, 1e21, 5e-324, f64::MAX, f64::MIN, 0.1 + 0.2][..]);
    prop_oneof![NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE, odd].boxed()
}

pub(crate) fn json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        float().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let wide = leaf.prop_recursive(5, 32, 6, |inner| {
        let list = vec(inner.clone(), 0..6).prop_map(Value::from);
        prop_oneof![list, fields(inner)]
    });
    let deep = (0usize..100).prop_map(|it| (0..it).fold(json!(1), |inner, _| json!([inner])));
    prop_oneof![8 => wide, 1 => deep].boxed()
}

/// An object, as answers and arguments are.
pub(crate) fn object() -> BoxedStrategy<Value> {
    fields(json()).boxed()
}

fn fields(of: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let pairs = vec((text(), of), 0..4);
    pairs.prop_map(|it| Value::Object(Map::from_iter(it))).boxed()
}

pub(crate) fn handoff() -> BoxedStrategy<Handoff> {
    let who = (text(), text(), name(), run(), of(text()), text());
    let artifact = (text(), text(), text(), any::<usize>(), text());
    let artifact = artifact.prop_map(|(id, why, name, bytes, head)| ArtifactRef {
        id,
        why,
        name,
        bytes,
        head,
    });
    let by = prop_oneof![Just(MadeBy::Model), Just(MadeBy::Engine), Just(MadeBy::Outside)];
    let what = (mode(), summary(), vec(artifact, 0..3), text(), by, of(text()));
    (who, what)
        .prop_map(|(who, what)| {
            let (id, source, target, run, call, task) = who;
            let (mode, summary, artifacts, reason, made_by, step) = what;
            Handoff {
                id,
                source,
                target,
                run,
                call,
                task,
                mode,
                summary,
                artifacts,
                reason,
                made_by,
                mark: step.clone().unwrap_or_default(),
                dropped: step.iter().cloned().collect(),
                taint: step.clone(),
                step,
            }
        })
        .boxed()
}

/// What a run used.
pub(crate) fn totals() -> BoxedStrategy<Totals> {
    (any::<[u64; 4]>(), any::<u32>())
        .prop_map(|([tokens, replies, micro_usd, unpriced], handoffs)| Totals {
            tokens,
            replies,
            handoffs,
            micro_usd,
            unpriced,
        })
        .boxed()
}

fn summary() -> BoxedStrategy<Summary> {
    let fields = (text(), text(), texts(), text());
    fields
        .prop_map(|(did, must_know, open_questions, do_next)| Summary {
            did,
            must_know,
            open_questions,
            do_next,
        })
        .boxed()
}

pub(crate) fn mode() -> BoxedStrategy<Mode> {
    prop_oneof![Just(Mode::Transfer), Just(Mode::Delegate)].boxed()
}

pub(crate) fn finished() -> BoxedStrategy<Finished> {
    let state = proptest::sample::select(
        &[EndState::Completed, EndState::Partial, EndState::Failed, EndState::Cancelled][..],
    );
    let stop = proptest::sample::select(
        &[
            Stop::Done,
            Stop::Budget,
            Stop::Turns,
            Stop::Deadline,
            Stop::Loop,
            Stop::Guardrail,
            Stop::Breaker,
            Stop::Error,
            Stop::Cancelled,
            Stop::Refused,
        ][..],
    );
    let missing = (name(), text(), text());
    let missing = missing.prop_map(|(agent, error, impact)| Missing { agent, error, impact });
    let error = (code(), text(), any::<bool>(), text());
    let error = error.prop_map(|(code, message, retryable, hint)| Trouble {
        code,
        message,
        retryable,
        hint,
    });
    (state, stop, of(object()), vec(missing, 0..2), texts(), of(error))
        .prop_map(|(state, stop, answer, missing, recommendations, error)| Finished {
            state,
            stop,
            answer,
            missing,
            recommendations,
            error,
        })
        .boxed()
}

pub(crate) fn code() -> BoxedStrategy<FailureCode> {
    use FailureCode as It;
    let all = [
        It::ModelUnavailable,
        It::RateLimited,
        It::Timeout,
        It::BadReply,
        It::ContextOverflow,
        It::Unauthorized,
        It::BadRequest,
        It::ToolFailed,
        It::ToolUnavailable,
        It::BreakerOpen,
        It::HandoffFailed,
        It::Refused,
        It::CheckBlocked,
        It::Loop,
        It::Fuse,
        It::InDoubt,
        It::Budget,
        It::Deadline,
        It::Cancelled,
        It::Internal,
    ];
    proptest::sample::select(all.to_vec()).boxed()
}

pub(crate) fn started() -> BoxedStrategy<Started> {
    let asked = (agent(), text(), text(), text(), of(run()), of(handoff()));
    let place = (any::<u32>(), any::<u32>(), names(), any::<u16>(), any::<i64>(), fuses());
    let rest = (text(), text(), any::<bool>(), name(), entries(), of(recall()));
    (asked, place, rest)
        .prop_map(|(asked, place, rest)| {
            let (agent, task, root_task, context, parent, handoff) = asked;
            let (depth, hops, path, priority, deadline, fuses) = place;
            let (principal, trace, triggers, entry, slots, recall) = rest;
            let grant = vec![Permit::of(&agent)];
            Started {
                agent: agent.into(),
                task,
                root_task,
                context,
                parent,
                handoff: handoff.map(Box::new),
                depth,
                hops,
                path,
                priority,
                points: Points { given: triggers, waiters: priority % 11, fit: priority % 301 },
                deadline,
                fuses,
                budget: Caps { tokens: Some(fuses.depth.into()), ..Caps::default() },
                purses: vec![],
                grant,
                approvals: Approvals {
                    expires_s: 60,
                    asks_when_tainted: triggers,
                    hosts: vec!["docs.rs".into()],
                    by_callers: triggers,
                },
                marks: Vec::new(),
                principal,
                trace,
                triggers,
                entry,
                slots,
                recall,
                output_schema: None,
            }
        })
        .boxed()
}

fn fuses() -> BoxedStrategy<Fuses> {
    any::<[u32; 15]>()
        .prop_map(|it| {
            let mut fuses = Fuses {
                depth: it[0],
                hops: it[1],
                fan_out: it[2],
                turns: it[3],
                parallel_calls: it[4],
                attempts: it[5],
                rate_limited: it[6],
                growth: Growth {
                    tasks_per_root: it[7],
                    tasks_per_workspace: it[8],
                    burst: it[9],
                    rate: it[10],
                },
                repeats: Default::default(),
            };
            let of = &mut fuses.repeats;
            (of.laps, of.calls, of.calls_all, of.replies) = (it[11], it[12], it[13], it[14]);
            fuses
        })
        .boxed()
}

pub(crate) fn agent() -> BoxedStrategy<Agent> {
    let model = (text(), text(), any::<u32>(), any::<u32>());
    let model = model.prop_map(|(provider, model, max_output, context)| Model {
        provider,
        model,
        max_output,
        context,
    });
    let who = (name(), text(), text(), vec(model, 1..3), of(float()), of(text()));
    let turns = (any::<u32>(), texts());
    let tools = (of(texts()), texts(), turns, texts(), vec(edge(), 0..3), texts());
    let rights = (class(), float(), object(), permissions(), grants(), any::<bool>());
    (who, tools, rights)
        .prop_map(|(who, has, rights)| {
            let (name, description, instructions, models, temperature, effort) = who;
            let (tools, disallowed_tools, turns, capabilities, handoffs, choices) = has;
            let (max_turns, servers) = turns;
            let (class, authority, output, permissions, grants, publish) = rights;
            let kind = if choices.is_empty() { Kind::Model } else { Kind::Human };
            Agent {
                name,
                description,
                instructions,
                kind,
                choices,
                models,
                temperature,
                effort,
                tools,
                disallowed_tools,
                hands: servers.clone(),
                servers,
                max_turns,
                turns_are_its_own: false,
                guards: Vec::new(),
                budget: None,
                max_parallel: None,
                breaker: callboard_config::policy::Breaker::default(),
                capabilities,
                handoffs,
                class,
                authority,
                output,
                memory: Access::Read,
                slots: Slots { reads: None, writes: publish.then(|| vec![Slot::Tests]) },
                permissions,
                patterns: patterns(publish),
                grants,
                publish,
            }
        })
        .boxed()
}

fn edge() -> BoxedStrategy<Edge> {
    (name(), texts(), of(text()), of(text()), mode(), text(), texts())
        .prop_map(|(to, triggers, when, task, mode, description, capabilities)| Edge {
            to,
            triggers,
            when,
            task,
            mode,
            description,
            capabilities,
        })
        .boxed()
}

fn class() -> BoxedStrategy<Class> {
    use Class as It;
    let all = [It::Critical, It::High, It::Quality, It::Normal, It::Low, It::Background];
    proptest::sample::select(all.to_vec()).boxed()
}

fn act() -> BoxedStrategy<Act> {
    let all = [Act::Read, Act::Write, Act::Run, Act::Fetch, Act::External];
    proptest::sample::select(all.to_vec()).boxed()
}

fn permissions() -> BoxedStrategy<BTreeMap<Act, Verdict>> {
    let all = [Verdict::Deny, Verdict::Ask, Verdict::Allow];
    btree_map(act(), proptest::sample::select(all.to_vec()), 0..5).boxed()
}

fn patterns(some: bool) -> Vec<Pattern> {
    let pattern = |text: &str, verdict| Pattern { text: text.into(), verdict };
    let all = vec![pattern("Bash(git:*)", Verdict::Allow), pattern("Read(.env)", Verdict::Deny)];
    if some { all } else { Vec::new() }
}

fn grants() -> BoxedStrategy<Grants> {
    prop_oneof![Just(Grants::Own), Just(Grants::Team), vec(act(), 0..3).prop_map(Grants::Only)]
        .boxed()
}
