//! What a step takes before it begins, and what it gives back with its outcome.

use std::time::Duration;

use callboard_agents::model::{Counted, Learned};
use callboard_agents::{Outcome, Run};
use callboard_config::policy::{Breaker, Resource};
use callboard_config::{Agent, Kind, ProviderKind, Team};
use callboard_store::gates::{Fragile, Give, Rate, Take, Went};
use callboard_trace::{EndState, Event, FailureCode, StepBegun, Work};

/// A step that tries a resource again after failures has so long before another may.
const PROBE: Duration = Duration::from_secs(60);
/// Seconds that a model step waits for an open breaker: its period and one try.
const MODEL_WAITS_S: u64 = 330;

/// The gauge of an agent: its steps at once, and whether somebody paused it.
pub(crate) fn of_agent(name: &str) -> String {
    format!("agent {name}")
}

/// The gauge of a model at its endpoint: its breaker.
pub(crate) fn of_endpoint(provider: &str, model: &str) -> String {
    format!("model {provider}/{model}")
}

/// All that a step takes. The breaker comes first: where it is open, nothing else matters. That of the
/// agent is asked by the first step of a run.
pub(crate) fn takes(team: &Team, run: &Run, begun: &StepBegun) -> Vec<Take> {
    let agent = &run.started.agent;
    let breaker = (run.steps == 0).then(|| of_runs(agent));
    let own = Take { width: agent.max_parallel, breaker, ..plain(of_agent(agent.name.as_str())) };
    let others = match &begun.work {
        Work::Model { provider, model, .. } => {
            of_model(team, provider, model, begun.reserved.tokens)
        }
        Work::Tool { server, .. } => of_tool(team, server.as_deref(), begun),
    };
    match breaker {
        Some(_) => std::iter::once(own).chain(others).collect(),
        None => others.into_iter().chain([own]).collect(),
    }
}

/// What the end of a run says of its agent, for the breaker.
pub(crate) fn of_end(run: &Run, state: EndState, attempt: u32) -> Option<Give> {
    let agent = &run.started.agent;
    let is_judged = run.plan.is_none() && agent.kind != Kind::Human;
    let went = went(state, attempt, run.steps).filter(|_| is_judged)?;
    let take = Take { breaker: Some(of_runs(agent)), ..plain(of_agent(agent.name.as_str())) };
    Some(Give { step: 0, take, used: None, went, learned: None })
}

/// Who was turned away before its first step says nothing, nor who was stopped; a run that is tried
/// again counted when it failed first.
fn went(state: EndState, attempt: u32, steps: u32) -> Option<Went> {
    match state {
        EndState::Completed | EndState::Partial if steps > 0 => Some(Went::Good),
        EndState::Failed if steps > 0 && attempt == 1 => Some(Went::Bad),
        EndState::Completed | EndState::Partial | EndState::Failed | EndState::Cancelled => None,
    }
}

/// The breaker of an agent: a run that tries it again has as long as the agent was left alone.
fn of_runs(agent: &Agent) -> Fragile {
    let fragile = fragile(agent.breaker, 0);
    Fragile { probe: fragile.reset.max(PROBE), ..fragile }
}

fn of_model(team: &Team, name: &str, model: &str, tokens: u64) -> Vec<Take> {
    let Some(provider) = team.providers.get(name) else { return Vec::new() };
    let breaker = Some(fragile(provider.breaker, MODEL_WAITS_S));
    let mut takes = vec![Take { breaker, ..plain(of_endpoint(name, model)) }];
    let is_remote = matches!(provider.kind, ProviderKind::OpenAi(_));
    let requests = provider.requests_per_min;
    if is_remote || requests.is_some() || provider.concurrency.is_some() {
        let rate = requests.map(per_minute);
        let width = provider.concurrency;
        takes.push(Take { rate, width, ..plain(format!("provider {name}")) });
    }
    if is_remote || provider.tokens_per_min.is_some() {
        let rate = provider.tokens_per_min.map(tokens_per_minute);
        takes.push(Take { units: tokens as f64, rate, ..plain(format!("tokens {name}")) });
    }
    takes
}

fn of_tool(team: &Team, server: Option<&str>, begun: &StepBegun) -> Vec<Take> {
    let mut takes = Vec::new();
    let own = resource_of(team, &begun.work);
    if let Some(server) = server {
        let named = team.resources.of_tool(Some(name_of(server)), tool_of(&begun.work));
        let breaker = named.map_or_else(Breaker::default, |it| it.1.breaker);
        takes
            .push(Take { breaker: Some(fragile(breaker, 0)), ..plain(format!("server {server}")) });
    }
    let stead = begun.stead.as_ref().map(|it| it.resource.as_str());
    let stead = stead.and_then(|it| team.resources.named.get_key_value(it));
    let used = stead.map(|(name, it)| (name.as_str(), it)).or(own);
    takes.extend(used.map(|(name, it)| of_resource(name, it)));
    takes
}

/// The resource that a call takes. To ask what tools there are is no use of them.
pub(crate) fn resource_of<'a>(team: &'a Team, work: &Work) -> Option<(&'a str, &'a Resource)> {
    let Work::Tool { tool, server, .. } = work else { return None };
    let server = server.as_deref().map(name_of);
    team.resources.of_tool(server, tool).filter(|_| tool != Work::LIST)
}

fn tool_of(work: &Work) -> &str {
    if let Work::Tool { tool, .. } = work { tool } else { "" }
}

fn of_resource(name: &str, it: &Resource) -> Take {
    let rate = it.capacity.map(|capacity| Rate { capacity, per_second: it.refill_per_s });
    let units = if it.cost > 0.0 { it.cost } else { 1.0 };
    let breaker = Some(fragile(it.breaker, 0));
    Take { units, rate, width: it.concurrency, breaker, name: of_resource_named(name) }
}

/// The gauge of a resource.
pub(crate) fn of_resource_named(name: &str) -> String {
    format!("resource {name}")
}

fn plain(name: String) -> Take {
    Take { name, units: 1.0, rate: None, width: None, breaker: None }
}

/// A server's name out of its key.
fn name_of(key: &str) -> &str {
    callboard_config::servers::ToolServer::name_of(key)
}

/// A breaker as it is written; where it says nothing of it, a step waits so long for an open one.
fn fragile(breaker: Breaker, wait_s: u64) -> Fragile {
    let reset = Duration::from_secs(breaker.reset_s);
    let wait = Duration::from_secs(breaker.wait_s.unwrap_or(wait_s));
    Fragile { failures: breaker.failures.max(1), reset, probe: PROBE, wait }
}

/// A second's worth at a stretch, and so many after it that no minute ever holds more than allowed,
/// wherever it begins: the other side may count in fixed windows or in moving ones.
fn per_minute(requests: u64) -> Rate {
    over(requests.max(1) as f64, 60.0)
}

/// Tokens come in amounts of thousands: a whole minute's worth may be taken at a stretch by one step.
fn tokens_per_minute(tokens: u64) -> Rate {
    Rate { capacity: tokens.max(1) as f64, per_second: tokens.max(1) as f64 / 60.0 }
}

/// What a step gives back.
pub(crate) fn gives(step: u32, takes: Vec<Take>, outcome: &Outcome) -> Vec<Give> {
    let (learned, retry_after) = match outcome {
        Outcome::Done { learned, .. } => (learned.as_slice(), None),
        Outcome::Failed { learned, retry_after, .. } => (learned.as_slice(), *retry_after),
    };
    let give = |take: Take| {
        let (went, used, told) = match take.name.split(' ').next() {
            Some("model") => (of_model_step(outcome), None, None),
            Some("server" | "resource") => (of_server(outcome), None, None),
            Some("provider") => {
                let went = asked_too_much(outcome, retry_after);
                (went, None, told(learned, Counted::Requests))
            }
            Some("tokens") => (Went::Neither, used(outcome), told(learned, Counted::Tokens)),
            Some(_) | None => (Went::Neither, None, None),
        };
        Give { step, take, used, went, learned: told }
    };
    takes.into_iter().map(give).collect()
}

/// The same for a step that was cut off.
pub(crate) fn let_go(step: u32, takes: Vec<Take>) -> impl Iterator<Item = Give> {
    let give =
        move |take: Take| Give { step, take, used: None, went: Went::Neither, learned: None };
    takes.into_iter().map(give)
}

fn of_model_step(outcome: &Outcome) -> Went {
    let Outcome::Failed { failure, .. } = outcome else { return Went::Good };
    let is_bad = matches!(
        failure.code,
        FailureCode::ModelUnavailable | FailureCode::Timeout | FailureCode::BadReply
    );
    if is_bad { Went::Bad } else { Went::Neither }
}

/// A tool that says that something is wrong works; one that cannot be reached does not.
fn of_server(outcome: &Outcome) -> Went {
    let Outcome::Done { events, .. } = outcome else { return Went::Bad };
    let returned = events.iter().find_map(|it| {
        let Event::ToolReturned { ok, result, .. } = it else { return None };
        Some((*ok, result))
    });
    match returned {
        Some((false, result)) if result.get("unavailable").is_some() => Went::Bad,
        Some(_) => Went::Good,
        None => Went::Neither,
    }
}

fn asked_too_much(outcome: &Outcome, retry_after: Option<Duration>) -> Went {
    match outcome {
        Outcome::Done { .. } => Went::Good,
        Outcome::Failed { failure, .. } if failure.code == FailureCode::RateLimited => {
            Went::Limited(retry_after)
        }
        Outcome::Failed { .. } => Went::Neither,
    }
}

fn used(outcome: &Outcome) -> Option<f64> {
    match outcome {
        Outcome::Done { events, .. } => events.iter().find_map(|it| {
            let Event::ModelReplied(reply) = it else { return None };
            Some(reply.usage.input.saturating_add(reply.usage.output) as f64)
        }),
        Outcome::Failed { failure, .. } => {
            (failure.code == FailureCode::RateLimited).then_some(0.0)
        }
    }
}

/// The tightest of the limits that were told, as a bucket.
fn told(learned: &[Learned], what: Counted) -> Option<callboard_store::gates::Learned> {
    let of_kind = learned.iter().filter(|it| it.what == what);
    let bucket = |it: &Learned| {
        let window = it.window_s.filter(|it| *it > 0.0).or_else(|| window(it));
        let rate = it.limit.zip(window).map(|(limit, window_s)| match what {
            Counted::Requests => over(limit, window_s),
            Counted::Tokens => Rate { capacity: limit, per_second: limit / window_s },
        });
        let is_empty = it.remaining.is_some_and(|left| left < 1.0);
        let shut =
            it.reset_s.filter(|_| is_empty).and_then(|it| Duration::try_from_secs_f64(it).ok());
        let header = it.header.clone();
        callboard_store::gates::Learned { rate, left: it.remaining, shut, header }
    };
    let per_second =
        |it: &callboard_store::gates::Learned| it.rate.map_or(f64::MAX, |it| it.per_second);
    of_kind.map(bucket).min_by(|a, b| per_second(a).total_cmp(&per_second(b)))
}

/// How long a limit's window is when only its reset was told. Of a bucket that fills evenly the
/// reset says when all of it is back, and what is missing comes back in that time. If that makes a
/// window as nobody has them, all of it comes back at the reset, and the window is the next common
/// one that is as long.
fn window(it: &Learned) -> Option<f64> {
    let (limit, left, reset) = (it.limit?, it.remaining?, it.reset_s?);
    let missing = limit - left;
    if missing < 1.0 || reset <= 0.0 {
        return None;
    }
    let evenly = reset * limit / missing;
    let is_common = |it: &f64| (evenly / it - 1.0).abs() < 0.03;
    if [1.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0].iter().any(is_common) {
        return Some(evenly);
    }
    Some([60.0, 3_600.0].into_iter().find(|it| reset <= *it).unwrap_or(86_400.0))
}

/// The same for any window. What was let through at its end may arrive after it and then counts in the
/// next one: a window is longer here than there, by a second in a minute.
fn over(limit: f64, window_s: f64) -> Rate {
    let capacity = (limit / window_s).floor().max(1.0).min(limit.max(1.0));
    let on_the_way = (window_s / 60.0).min(1.0);
    let per_second = (limit - capacity + 0.99) / (window_s + on_the_way);
    Rate { capacity, per_second: per_second.max(1e-6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_ever_holds_more_than_was_written() {
        for requests in [1, 2, 3, 7, 59, 60, 61, 100, 600, 6_000] {
            let rate = per_minute(requests);
            // Also where some of them are a second on the way, and the others none.
            let most = rate.capacity + (rate.per_second * 61.0).floor();
            assert!(most <= requests as f64, "{requests}: {rate:?}");
            assert!(rate.per_second * 60.0 >= 0.95 * requests as f64 || requests < 61, "{rate:?}");
        }
        assert!(per_minute(600).per_second >= 0.96 * 10.0);
    }

    #[test]
    fn the_tightest_limit_counts_and_an_empty_one_shuts() {
        let one = |limit, window_s, remaining, reset_s| Learned {
            what: Counted::Requests,
            limit: Some(limit),
            window_s,
            remaining: Some(remaining),
            reset_s,
            header: "x".into(),
        };
        let minute = one(600.0, Some(60.0), 5.0, None);
        let day = one(86_400.0, Some(86_400.0), 9.0, None);
        let told_of = told(&[minute.clone(), day], Counted::Requests).expect("a limit");
        assert!((told_of.rate.expect("a rate").per_second - 1.0).abs() < 0.01, "{told_of:?}");
        let empty = one(600.0, None, 0.0, Some(30.0));
        let told_of = told(&[empty], Counted::Requests).expect("a limit");
        assert_eq!(told_of.shut, Some(Duration::from_secs(30)));
        assert!((told_of.rate.expect("a rate").per_second - 600.0 / 30.0).abs() < 1.0);
        assert_eq!(told(&[minute], Counted::Tokens), None);
    }

    #[test]
    fn the_end_of_a_run_counts_where_its_agent_did_something() {
        for (state, attempt, steps, said) in [
            (EndState::Completed, 1, 3, Some(Went::Good)),
            (EndState::Partial, 2, 3, Some(Went::Good)),
            (EndState::Failed, 1, 3, Some(Went::Bad)),
            (EndState::Failed, 2, 3, None),
            (EndState::Failed, 1, 0, None),
            (EndState::Completed, 1, 0, None),
            (EndState::Cancelled, 1, 3, None),
        ] {
            assert_eq!(went(state, attempt, steps), said, "{state:?} {attempt} {steps}");
        }
    }

    #[test]
    fn a_reset_says_how_long_the_window_is_whichever_way_it_was_meant() {
        let of = |left: f64, reset: f64| {
            let reset_s = Some(reset);
            window(&Learned {
                what: Counted::Requests,
                limit: Some(600.0),
                window_s: None,
                remaining: Some(left),
                reset_s,
                header: "x".into(),
            })
        };
        let near = |found: Option<f64>, window: f64| {
            assert!(found.is_some_and(|it| (it / window - 1.0).abs() < 0.03), "{found:?} {window}");
        };
        // A bucket of 600 a minute fills by one in a tenth of a second.
        for left in [0.0, 1.0, 300.0, 590.0, 599.0] {
            near(of(left, (600.0 - left) / 10.0), 60.0);
        }
        // A window that ends all at once, seen at its beginning, in the middle and at its end.
        for (left, reset) in [(599.0, 59.7), (580.0, 41.0), (100.0, 13.0), (3.0, 0.4)] {
            near(of(left, reset), 60.0);
        }
        near(of(599.0, 3_000.0), 3_600.0);
        assert_eq!((of(600.0, 5.0), of(500.0, 0.0)), (None, None));
    }
}
