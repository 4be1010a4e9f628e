//! One strategy a kind of event, in a list that the compiler keeps whole.

use callboard_config::SourceFile;
use callboard_config::budget::Caps;
use callboard_trace::rank::{Ranked, RouteJudge, Routed};
use callboard_trace::{
    Action, Bound, Call, Caller, Control, Event, Failure, Finish, ModelReplied, Purpose, Spend,
    StepBegun, Task, Touched, Usage, Waiting, Work,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::any::{
    agent, code, finished, float, handoff, json, name, names, object, run, started, text, texts,
    totals,
};
use crate::notes::{entries, provenance};

/// Writes both the list of strategies and a `match` without a wildcard out of the same lines, so
/// that a new kind does not compile before it has a strategy.
macro_rules! kinds {
    ($($kind:pat => $strategy:expr,)*) => {
        /// Every kind's pattern, with a strategy that makes events of that kind.
        pub(crate) fn kinds() -> Vec<(&'static str, BoxedStrategy<Event>)> {
            vec![$((stringify!($kind), $strategy.boxed())),*]
        }

        /// The pattern an event falls under.
        pub(crate) fn kind_of(event: &Event) -> &'static str {
            match event {
                $($kind => stringify!($kind)),*
            }
        }
    };
}

kinds! {
    Event::NodeStarted { .. } => (text(), text())
        .prop_map(|(node, version)| Event::NodeStarted { node, version }),
    Event::NodeStopped { .. } => (text(), text())
        .prop_map(|(node, reason)| Event::NodeStopped { node, reason }),
    Event::TeamLoaded { .. } => (vec(source_file(), 0..3), names(), texts())
        .prop_map(|(files, agents, problems)| Event::TeamLoaded { files, agents, problems }),
    Event::AdmissionChanged { .. } => (any::<bool>(), float(), text())
        .prop_map(|(open, load_pct, reason)| Event::AdmissionChanged { open, load_pct, reason }),
    Event::TaskAccepted(_) => task().prop_map(Event::TaskAccepted),
    Event::Routed(_) => (text(), name(), float(), text(), names(), any::<(u32, u32, u64)>())
        .prop_map(|(mode, to, score, arm, candidates, (domains, asks, tokens))| {
            let (way, matches) = (arm.clone(), vec![asks; candidates.len()]);
            let falls_back = asks % 2 == 0;
            let problem = falls_back.then(|| arm.clone());
            let judge = Some(RouteJudge { model: mode.clone(), problem });
            Event::Routed(Box::new(Routed {
                mode, to, score, arm, candidates, matches, way, domains, asks, tokens, falls_back,
                judge,
            }))
        }),
    Event::PlanMade { .. } => (text(), text(), json(), vec(agent(), 0..2))
        .prop_map(|(plan, source, steps, agents)| Event::PlanMade { plan, source, steps, agents }),
    Event::PlanChanged { .. } => (text(), json())
        .prop_map(|(plan, change)| Event::PlanChanged { plan, change }),
    Event::RunStarted(_) => started().prop_map(|it| Event::RunStarted(Box::new(it))),
    Event::RankSet(_) => (any::<u16>(), text(), of(text()), of(any::<i64>()), of(float()), texts())
        .prop_map(|(base, source, key, score, distance, concepts)| {
            let (expires, scope) = (score, source.clone());
            Event::RankSet(Box::new(Ranked {
                base, source, key, score, distance, expires, scope, concepts,
            }))
        }),
    Event::Embedded { .. } => (text(), text(), text())
        .prop_map(|(subject, model, vector)| Event::Embedded { subject, model, vector }),
    Event::StepWaiting(_) => (any::<u32>(), text(), any::<u64>(), of(float()))
        .prop_map(|(step, resource, ahead, eta_s)| {
            let since = eta_s.map(|_| i64::from(step));
            Event::StepWaiting(Waiting { step, resource, ahead, eta_s, since })
        }),
    Event::StepBegun(_) => (any::<u32>(), any::<u32>(), work(), spend(), of(text()))
        .prop_map(|(step, attempt, work, reserved, stead)| {
            let mut begun = StepBegun { reserved, ..StepBegun::new(step, attempt, work) };
            begun.takes(stead.as_deref().map(|it| (it, it)));
            Event::StepBegun(begun)
        }),
    Event::ModelReplied(_) => replied().prop_map(|it| Event::ModelReplied(Box::new(it))),
    Event::ToolReturned { .. } => (any::<u32>(), text(), any::<bool>(), json(), any::<u64>())
        .prop_map(|(step, call, ok, result, ms)| {
            let documents = vec![call.clone(); (step % 2) as usize];
            let touched = |it: &String| Touched {
                path: it.clone(),
                bytes: ms,
                hash: it.clone(),
                wrote: ok,
            };
            let files = documents.iter().map(touched).collect();
            Event::ToolReturned { step, call, ok, result, ms, documents, files }
        }),
    Event::StepFailed(_) => failure().prop_map(Event::StepFailed),
    Event::StepDecided { .. } => (any::<u32>(), text())
        .prop_map(|(step, decision)| Event::StepDecided { step, decision }),
    Event::LimitsLearned { .. } => (text(), of(float()), of(float()), text())
        .prop_map(|(resource, limit, remaining, header)| {
            Event::LimitsLearned { resource, limit, remaining, header }
        }),
    Event::BreakerChanged { .. } => (text(), text(), text(), any::<u32>())
        .prop_map(|(resource, from, to, failures)| {
            Event::BreakerChanged { resource, from, to, failures }
        }),
    Event::HandedOff(_) => handoff().prop_map(|it| Event::HandedOff(Box::new(it))),
    Event::HandoffAccepted { .. } => text()
        .prop_map(|handoff| Event::HandoffAccepted { handoff }),
    Event::HandoffRefused { .. } => (text(), run(), text(), of(name()))
        .prop_map(|(handoff, run, reason, better)| {
            Event::HandoffRefused { handoff, run, reason, better }
        }),
    Event::HandoffFailed { .. } => (text(), name(), any::<u8>(), text())
        .prop_map(|(handoff, to, stage, reason)| {
            Event::HandoffFailed { handoff, to, stage, reason }
        }),
    Event::ChildEnded { .. } => (run(), (name(), names()), of(text()), finished(), totals(), entries())
        .prop_map(|(child, (agent, circle), handoff, end, totals, slots)| {
            let (taint, end) = (handoff.clone(), Box::new(end));
            Event::ChildEnded { child, agent, handoff, end, totals, taint, slots, circle }
        }),
    Event::Noted { .. } => (
        (text(), text(), json(), text(), of(float()), of(text())),
        (of(provenance()), texts(), of(any::<i64>())),
    )
        .prop_map(|(noted, (provenance, tags, expires))| {
            let (slot, key, value, artifact, confidence, taint) = noted;
            let provenance = provenance.map(Box::new);
            Event::Noted {
                slot,
                key,
                value,
                artifact,
                confidence,
                taint,
                provenance,
                tags,
                expires,
            }
        }),
    Event::Forgotten { .. } => text().prop_map(|key| Event::Forgotten { key }),
    Event::Checked { .. } => (text(), text(), text(), texts(), any::<u32>(), text(), of(float()))
        .prop_map(|(check, place, verdict, reasons, round, subject, score)| {
            Event::Checked { check, place, verdict, reasons, round, subject, score }
        }),
    Event::QuestionAsked { .. } => (text(), text(), text(), texts(), of(bound()))
        .prop_map(|(question, form, prompt, options, act)| {
            Event::QuestionAsked { question, form, prompt, options, act }
        }),
    Event::QuestionClosed { .. } => (text(), of(text()))
        .prop_map(|(question, answer)| Event::QuestionClosed { question, answer }),
    Event::BudgetAlerted { .. } => (text(), text(), float(), float(), float(), of(float()))
        .prop_map(|(node, dimension, used, limit, pct, needs)| {
            Event::BudgetAlerted { node, dimension, used, limit, pct, needs }
        }),
    Event::BudgetSet { .. } => (text(), json(), json())
        .prop_map(|(node, from, to)| Event::BudgetSet { node, from, to }),
    Event::FuseBlown { .. } => (text(), any::<u64>(), any::<u64>(), names())
        .prop_map(|(fuse, value, limit, chain)| Event::FuseBlown { fuse, value, limit, chain }),
    Event::Controlled(_) => control().prop_map(Event::Controlled),
    Event::Checkpointed { .. } => (text(), vec(any::<u32>(), 0..4), texts())
        .prop_map(|(summary, done, next)| Event::Checkpointed { summary, done, next }),
    Event::RunEnded(_) => finished().prop_map(|it| Event::RunEnded(Box::new(it))),
    Event::Delivered { .. } => (text(), text())
        .prop_map(|(to, form)| Event::Delivered { to, form }),
    Event::CallerLeft { .. } => float().prop_map(|after_s| Event::CallerLeft { after_s }),
    Event::Exported { .. } => (text(), any::<u64>())
        .prop_map(|(destination, up_to)| Event::Exported { destination, up_to }),
    Event::DayClosed { .. } => (text(), json())
        .prop_map(|(day, totals)| Event::DayClosed { day, totals }),
}

fn source_file() -> impl Strategy<Value = SourceFile> {
    (text(), text()).prop_map(|(path, hash)| SourceFile { path: path.into(), hash })
}

fn task() -> impl Strategy<Value = Task> {
    let caller = (text(), text(), text(), text());
    let caller = caller.prop_map(|(principal, client, version, transport)| Caller {
        principal,
        client,
        version,
        transport,
    });
    let said = (text(), text(), caller, of(text()), of(any::<u16>()));
    (said, any::<i64>(), text(), of(text())).prop_map(|(said, deadline, trace, parent_span)| {
        let session = parent_span.clone();
        let (text, context, caller, key, priority) = said;
        let budget = priority.map(|it| Caps { tokens: Some(it.into()), ..Caps::default() });
        let output_schema = parent_span.as_ref().map(|it| serde_json::json!({"title": it}));
        Task {
            text,
            context,
            caller,
            key,
            priority,
            deadline,
            budget,
            output_schema,
            trace,
            parent_span,
            session,
        }
    })
}

fn spend() -> impl Strategy<Value = Spend> {
    any::<[u64; 6]>().prop_map(|it| Spend {
        tokens: it[0],
        micro_usd: it[1],
        ms: it[2],
        model_calls: it[3],
        tool_calls: it[4],
        documents: it[5],
    })
}

fn work() -> impl Strategy<Value = Work> {
    let purpose = prop_oneof![
        Just(Purpose::Turn),
        Just(Purpose::Finalise),
        text().prop_map(|problem| Purpose::Repair { problem }),
        (name(), text()).prop_map(|(to, trigger)| Purpose::Summarise { to, trigger }),
    ];
    let model = (text(), text(), purpose, any::<usize>(), text());
    let tool = (text(), text(), json(), any::<bool>(), of(text()));
    prop_oneof![
        model.prop_map(|(provider, model, purpose, messages, prompt)| {
            Work::Model { provider, model, purpose, messages, prompt }
        }),
        tool.prop_map(|(call, tool, arguments, repeatable, server)| {
            Work::Tool { call, tool, arguments, repeatable, server }
        }),
    ]
}

fn replied() -> impl Strategy<Value = ModelReplied> {
    let arguments = prop_oneof![object().prop_map(Ok), text().prop_map(Err)];
    let call = (text(), text(), arguments);
    let call = call.prop_map(|(id, tool, arguments)| Call { id, tool, arguments });
    let finish = prop_oneof![
        Just(Finish::Stop),
        Just(Finish::Length),
        Just(Finish::ToolCalls),
        Just(Finish::ContentFilter),
        text().prop_map(Finish::Other),
    ];
    let usage = any::<([u64; 4], bool)>().prop_map(|(it, estimated)| Usage {
        input: it[0],
        cached: it[1],
        output: it[2],
        reasoning: it[3],
        estimated,
    });
    let said = (object(), text(), vec(call, 0..3), finish);
    (said, any::<u32>(), usage, text(), any::<[u64; 2]>()).prop_map(
        |((reply, text, calls, finish), step, usage, model, [first_token_ms, ms])| ModelReplied {
            step,
            reply,
            text,
            calls,
            finish,
            usage,
            model,
            first_token_ms,
            ms,
            asked_again: step % 3,
            micro_usd: Some(ms).filter(|it| it % 2 == 0),
        },
    )
}

fn failure() -> impl Strategy<Value = Failure> {
    let which = (any::<u32>(), any::<u32>(), any::<u64>());
    (which, code(), text(), any::<bool>(), of(any::<i64>())).prop_map(
        |((step, attempt, ms), code, message, retryable, retry_at)| Failure {
            step,
            attempt,
            code,
            message,
            retryable,
            retry_at,
            ms,
            asked_again: attempt % 3,
        },
    )
}

fn control() -> impl Strategy<Value = Control> {
    let all = [
        Action::Cancel,
        Action::Pause,
        Action::Resume,
        Action::FinishNow,
        Action::Retry,
        Action::SetPriority,
        Action::SetBudget,
        Action::Message,
        Action::Redirect,
        Action::Drain,
    ];
    (proptest::sample::select(all.to_vec()), json(), text())
        .prop_map(|(action, value, reason)| Control { action, value, reason })
}

/// What an approval is for.
fn bound() -> BoxedStrategy<Bound> {
    let fields = (text(), text(), any::<i64>());
    fields.prop_map(|(call, digest, expires)| Bound { call, digest, expires }).boxed()
}
