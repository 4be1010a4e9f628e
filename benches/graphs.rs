//! Plans of very many tasks through the whole program: how close their makespan comes to the ideal,
//! how much one core does when no model takes any time, and what a `kill -9` in the middle changes.
//!
//! `cargo bench --bench graphs [-- makespan | delay | nothing | killed]`
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a measurement looks at a few kinds, and its readers end with its process"
)]

mod served;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use served::endpoint::{Endpoint, Reply};
use served::found::Found;
use served::{Result, Served, Team, load, percentile, say};
use tokio::time::Instant;

/// Steps at once, the default of the product.
const SEATS: usize = 50;
/// What each task takes.
const STEP_MS: u64 = 50;
/// Tasks of each random graph.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Tasks of the plans that take no time.
const MANY: usize = 100_000;
/// Each of those waits for the one before it, in rows of so many.
const ROW: usize = 10;
/// Between two looks at a plan.
const REST: Duration = Duration::from_millis(100);
/// Plans that run side by side, each a chain through so many agents.
const PLANS: usize = 50;
const AGENTS: usize = 15;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let only = std::env::args().skip(1).find(|it| !it.starts_with('-'));
        let is_wanted = |name: &str| only.as_deref().is_none_or(|it| it == name);
        let home = tempfile::tempdir_in(".")?;
        if is_wanted("delay") {
            delay(&home.path().join("delay")).await?;
        }
        if is_wanted("makespan") {
            makespans(home.path()).await?;
        }
        if is_wanted("nothing") {
            no_time(&home.path().join("rehearsed"), None, false).await?;
            let endpoint = Endpoint::start(|_| Reply::good(Duration::ZERO)).await?;
            no_time(&home.path().join("http"), Some(&endpoint), false).await?;
        }
        if is_wanted("killed") {
            no_time(&home.path().join("killed"), None, true).await?;
        }
        Ok(())
    })
}

/// What one plan came to.
#[derive(Default)]
struct Ran {
    accepted_s: f64,
    all_s: f64,
}

/// Gives the plan and waits until it is over.
async fn run(served: &Served, tasks: Vec<Value>) -> Result<Ran> {
    let begun = Instant::now();
    let accepted = served.call("team_run", json!({"tasks": tasks, "wait_s": 0})).await?;
    let accepted_s = begun.elapsed().as_secs_f64();
    watch(served, &accepted["run"], 60, Duration::ZERO).await?;
    Ok(Ran { accepted_s, all_s: begun.elapsed().as_secs_f64() })
}

/// Looks at a plan until it is over, each look so patient and so long after the one before it; what
/// each took, ms.
async fn watch(served: &Served, run: &Value, wait_s: u64, rest: Duration) -> Result<Vec<f64>> {
    let mut looks_ms = Vec::new();
    loop {
        let looked = Instant::now();
        let view = served.call("team_status", json!({"run": run, "wait_s": wait_s})).await?;
        looks_ms.push(looked.elapsed().as_secs_f64() * 1_000.0);
        match view["state"].as_str() {
            Some("working" | "queued") => tokio::time::sleep(rest).await,
            Some("completed") => return Ok(looks_ms),
            _ => return Err(format!("not completed: {view}").into()),
        }
    }
}

/// Random graphs beside the best that any scheduler could do with these seats.
async fn makespans(home: &Path) -> Result<()> {
    let mut overheads = Vec::new();
    for size in SIZES {
        let graph = Graph::random(size);
        let team = Team::rehearsed(&home.join(size.to_string()), STEP_MS)?;
        let served = team.serve(None).await?;
        let ran = run(&served, graph.tasks()).await?;
        let took = ran.all_s - ran.accepted_s;
        let (ideal, greedy) = (graph.ideal_s(), graph.greedy_s());
        // A seat's time beside the work itself.
        let overhead_ms = (took - greedy) * 1_000.0 * SEATS as f64 / size as f64;
        overheads.push(overhead_ms);
        served.leave().await?;
        // A pause of 50 ms is one that is over after them, by a millisecond as a rule.
        let model_ms = Found::read(&team.data()).await?.model_ms();
        say(&format!(
            "random graph of {size} tasks of {STEP_MS} ms, {SEATS} seats: accepted in {:.2} s, then \
             {took:.2} s; work and critical path allow {ideal:.2} s: {:.3} times, may be 1.10, and {:.3} \
             times by the {model_ms:.1} ms that the models took (with no overhead the same order takes \
             {greedy:.2} s); {overhead_ms:.2} ms of a seat a task beside the work; load {}",
            ran.accepted_s,
            took / ideal,
            took / ideal * STEP_MS as f64 / model_ms,
            load()
        ));
    }
    let (least, most) = (overheads.first(), overheads.last());
    if let (Some(least), Some(most)) = (least, most) {
        say(&format!(
            "from {} to {} tasks the overhead of each grew {:.2}-fold, may be 1.5",
            SIZES[0],
            SIZES[2],
            most / least
        ));
    }
    Ok(())
}

/// From when a step may begin to when it does: chains through many agents, side by side.
async fn delay(home: &Path) -> Result<()> {
    let endpoint = Endpoint::start(|_| Reply::good(Duration::from_millis(STEP_MS))).await?;
    let names: Vec<String> = (0..AGENTS).map(|it| format!("agent{it}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let team = Team::new(home, &names, &at(&endpoint, "agent0"))?;
    let served = team.serve(None).await?;
    let chain = |plan: usize| -> Vec<Value> {
        let task = |at: usize| {
            let after: Vec<&str> = if at == 0 { Vec::new() } else { vec![names[at - 1]] };
            json!({"id": names[at], "to": names[at], "task": format!("part {at} of {plan}"),
                "after": after})
        };
        (0..AGENTS).map(task).collect()
    };
    let begun = Instant::now();
    let all = (0..PLANS).map(|plan| run(&served, chain(plan)));
    futures::future::try_join_all(all).await?;
    let took = begun.elapsed().as_secs_f64();
    served.leave().await?;
    let mut found = Found::read(&team.data()).await?;
    say(&format!(
        "{PLANS} chains of {AGENTS} agents, {} steps: from ready to begun p50 {:.1} ms, p95 {:.1} ms, \
         may be 50; {took:.2} s for {:.2} s of models; load {}",
        found.delays_ms.len(),
        found.delay_ms(50),
        found.delay_ms(95),
        (AGENTS as u64 * STEP_MS) as f64 / 1_000.0,
        load()
    ));
    Ok(())
}

/// A plan whose models take no time, the server on one core; killed in the middle and started again
/// if that is asked for.
async fn no_time(home: &Path, endpoint: Option<&Endpoint>, killed: bool) -> Result<()> {
    let team = match endpoint {
        Some(endpoint) => Team::new(home, &["writer"], &at(endpoint, "writer"))?,
        None => Team::rehearsed(home, 0)?,
    };
    let mut served = team.serve(Some(0)).await?;
    let (mut cpu_s, mut peak) = (0.0, 0);
    let begun = Instant::now();
    let tasks = json!({"tasks": rows(MANY), "wait_s": 0});
    let accepted = served.call("team_run", tasks).await?;
    let accepted_s = begun.elapsed().as_secs_f64();
    let mut looks_ms = if killed {
        let half = half_done(&served, &accepted["run"]).await?;
        (cpu_s, peak) = (served.cpu_s(), served.memory_mib().1);
        served.kill().await?;
        served = team.serve(Some(0)).await?;
        half
    } else {
        Vec::new()
    };
    looks_ms.extend(watch(&served, &accepted["run"], 0, REST).await?);
    let took = begun.elapsed().as_secs_f64();
    (cpu_s, peak) = (cpu_s + served.cpu_s(), peak.max(served.memory_mib().1));
    served.leave().await?;
    let found = Found::read(&team.data()).await?;
    let how = match (endpoint, killed) {
        (Some(_), _) => "over HTTP",
        (None, false) => "rehearsed",
        (None, true) => "rehearsed, one kill -9 in the middle",
    };
    say(&format!(
        "{MANY} tasks that take no time, {how}, server on one core: accepted in {accepted_s:.2} s, may \
         be 15; {:.0}/s, wanted 2000 ({:.0} for a second of its processor); status p50 {:.1} ms, p99 \
         {:.1} ms, may be 50; at most {peak} MiB, may be 512; {} of {} runs ended, {} twice; load {}",
        MANY as f64 / took,
        MANY as f64 / cpu_s,
        percentile(&mut looks_ms, 50),
        percentile(&mut looks_ms, 99),
        found.ended,
        found.runs,
        found.twice,
        load()
    ));
    Ok(())
}

/// Looks at a plan until half of its tasks are over.
async fn half_done(served: &Served, run: &Value) -> Result<Vec<f64>> {
    let mut looks_ms = Vec::new();
    loop {
        let looked = Instant::now();
        let view = served.call("team_status", json!({"run": run, "wait_s": 0})).await?;
        looks_ms.push(looked.elapsed().as_secs_f64() * 1_000.0);
        let step = view["step"].as_str().unwrap_or_default();
        let ended = step.split(' ').next().and_then(|it| it.parse::<usize>().ok());
        if ended.is_none_or(|it| it >= MANY / 2) {
            return Ok(looks_ms);
        }
        tokio::time::sleep(REST).await;
    }
}

/// The part of `team.yaml` that says where the models are.
fn at(endpoint: &Endpoint, entry: &str) -> String {
    format!(
        "entry: {entry}\nproviders:\n  bench: {{base_url: \"{}\"}}\nmodels:\n  default: bench/m\n",
        endpoint.base_url
    )
}

/// Tasks in rows, each behind the one before it.
fn rows(size: usize) -> Vec<Value> {
    let task = |at: usize| {
        let after: Vec<String> =
            if at.is_multiple_of(ROW) { Vec::new() } else { vec![(at - 1).to_string()] };
        json!({"id": at.to_string(), "to": "writer", "task": format!("task {at}"), "after": after})
    };
    (0..size).map(task).collect()
}

/// What each task waits for: tasks before it.
struct Graph(Vec<Vec<usize>>);

impl Graph {
    /// Up to three needs for each task, among the 500 before it; always the same ones.
    fn random(size: usize) -> Graph {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = move |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) as usize) % most.max(1)
        };
        let mut needs = |at: usize| {
            let window = at.min(500);
            let mut all: Vec<usize> = match window {
                0 => Vec::new(),
                _ => (0..below(4)).map(|_| at - 1 - below(window)).collect(),
            };
            all.sort_unstable();
            all.dedup();
            all
        };
        Graph((0..size).map(&mut needs).collect())
    }

    fn tasks(&self) -> Vec<Value> {
        let task = |(at, needs): (usize, &Vec<usize>)| {
            let after: Vec<String> = needs.iter().map(usize::to_string).collect();
            json!({"id": at.to_string(), "task": format!("task {at}"), "after": after})
        };
        self.0.iter().enumerate().map(task).collect()
    }

    /// No schedule is shorter: all the work on all seats, and the longest chain.
    fn ideal_s(&self) -> f64 {
        let mut ends: Vec<usize> = Vec::with_capacity(self.0.len());
        for needs in &self.0 {
            ends.push(needs.iter().map(|it| ends[*it]).max().unwrap_or(0) + 1);
        }
        let longest = ends.iter().max().copied().unwrap_or_default();
        longest.max(self.0.len().div_ceil(SEATS)) as f64 * STEP_MS as f64 / 1_000.0
    }

    /// The same graph taken in its own order, in rounds, by a scheduler that costs nothing.
    fn greedy_s(&self) -> f64 {
        let mut left: Vec<usize> = self.0.iter().map(Vec::len).collect();
        let mut waits: Vec<Vec<usize>> = vec![Vec::new(); self.0.len()];
        for (at, needs) in self.0.iter().enumerate() {
            needs.iter().for_each(|it| waits[*it].push(at));
        }
        let mut ready: std::collections::BTreeSet<usize> =
            (0..left.len()).filter(|it| left[*it] == 0).collect();
        let mut rounds = 0;
        while !ready.is_empty() {
            let now: Vec<usize> = ready.iter().take(SEATS).copied().collect();
            for it in &now {
                ready.remove(it);
            }
            for next in now.iter().flat_map(|it| &waits[*it]) {
                left[*next] -= 1;
                if left[*next] == 0 {
                    ready.insert(*next);
                }
            }
            rounds += 1;
        }
        (rounds * STEP_MS) as f64 / 1_000.0
    }
}
