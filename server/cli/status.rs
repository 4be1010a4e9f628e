//! `status`: the team's board, or one run.

use std::time::Duration;

use callboard_scheduler::{AgentLine, Board, Desk, Node, RunLine};
use callboard_trace::{Caller, RunId};

use super::exit;
use super::fault::{Fault, Result};
use super::on_run::StatusArgs;
use super::place;
use super::say::Say;
use super::view;
use crate::paint::one_line;

/// Letters of a whole run name.
const NAME: usize = 28;
/// Letters of a run name that people are shown.
const SHORT: usize = 10;

/// Shows the board or a run, without claiming any work.
pub(crate) async fn status(args: &StatusArgs, say: Say) -> Result<u8> {
    let caller = place::caller();
    let look = async |node: &mut Node| match &args.run {
        Some(run) => one(&node.desk(), run, args, &caller, say).await,
        None => board(&node.desk(), args, &caller, say).await,
    };
    place::looking(&args.place, look).await
}

async fn one(desk: &Desk, typed: &str, args: &StatusArgs, caller: &Caller, say: Say) -> Result<u8> {
    let run = named(desk, typed, caller).await?;
    let listening = desk.listen(&run, caller, false);
    let mut view = match args.wait {
        Some(seconds) => desk.wait(&run, caller, Duration::from_secs(seconds)).await?,
        None => desk.view(&run, caller).await?,
    };
    view.notices.extend(desk.notices(caller, Some(run.as_str())).await);
    say.data(&if args.json { view::line(&view) } else { view::whole(&view, args.full, say) })?;
    if view.state.is_over() {
        listening.delivered();
    }
    Ok(exit::code(&view))
}

async fn board(desk: &Desk, args: &StatusArgs, caller: &Caller, say: Say) -> Result<u8> {
    let board = desk.board(caller).await?;
    let text = if args.json {
        serde_json::to_string(&board).unwrap_or_default()
    } else {
        let past = desk.past_their_time().await?.map(|(count, days)| {
            format!(
                "\n{} {count} tasks ended more than {days} days ago; a process that works lets go of \
                 them within two hours, except what is remembered",
                say.out_paint.bold("past")
            )
        });
        told(&board, args.full, say) + &past.unwrap_or_default()
    };
    say.data(&text)?;
    Ok(0)
}

/// The run that was meant: a whole name, the first letters of a recent one or else of any, or
/// `latest`.
///
/// # Errors
/// When no run begins like that, or several do.
pub(crate) async fn named(desk: &Desk, typed: &str, caller: &Caller) -> Result<RunId> {
    if typed.len() >= NAME {
        return Ok(RunId::from_text(typed));
    }
    let runs: Vec<RunId> = desk.board(caller).await?.runs.into_iter().map(|it| it.run).collect();
    if typed == "latest" {
        let latest = runs.into_iter().next();
        return latest
            .ok_or_else(|| Fault::call("there is no run yet", "start one with `callboard run`"));
    }
    let typed = typed.trim_end_matches('…');
    match pick(typed, &runs)? {
        Some(run) => Ok(run),
        None => pick(typed, &desk.begin_with(typed, caller).await?)?.ok_or_else(|| {
            Fault::call(
                format!("no run begins with {typed:?}"),
                "`callboard status` lists the recent ones",
            )
        }),
    }
}

fn pick(typed: &str, runs: &[RunId]) -> Result<Option<RunId>> {
    let meant: Vec<&RunId> = runs.iter().filter(|it| it.as_str().starts_with(typed)).collect();
    match meant.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        [first, ..] => Err(Fault::call(
            format!("several runs begin with {typed:?}"),
            format!("write more of it, such as {first}"),
        )),
    }
}

fn told(board: &Board, full: bool, say: Say) -> String {
    let paint = say.out_paint;
    let mut lines = vec![match (board.agents.is_empty(), board.problems.is_empty()) {
        (true, true) => paint.dim("no team here; `--team DIR` names one"),
        (true, false) => paint.dim("the team here cannot be served: its problems stand below"),
        (false, _) => format!("{} {}", paint.bold("team"), board.team),
    }];
    let busy: Vec<&AgentLine> =
        board.agents.iter().filter(|it| full || it.state != "idle" || it.queued > 0).collect();
    for it in &busy {
        let did = it.success_rate.filter(|_| full).map_or_else(String::new, |rate| {
            format!(", {:.0} % of its last runs completed", rate * 100.0)
        });
        let left =
            it.left_alone.as_ref().map_or_else(String::new, |it| format!(", left alone: {it}"));
        let counts = format!("{} at work, {} waiting{did}{left}", it.active, it.queued);
        lines.push(format!("  {:<20} {:<8} {counts}", it.name.as_str(), it.state));
    }
    let idle = board.agents.len() - busy.len();
    if idle > 0 {
        lines.push(paint.dim(&format!("  {idle} of {} agents idle", board.agents.len())));
    }
    let queue = &board.queue;
    let oldest = match queue.depth {
        0 => String::new(),
        _ => format!(", the oldest for {}", lasting(queue.oldest_s)),
    };
    let in_line = match queue.in_line {
        0 => String::new(),
        n => format!(", {n} held by what is shared"),
    };
    lines.push(format!(
        "{} {} waiting{oldest}{in_line}; {} of {} seats taken",
        paint.bold("queue"),
        queue.depth,
        queue.seats_taken,
        queue.seats
    ));
    let today = board.budget.iter().flat_map(|it| &it.today);
    let today: Vec<String> = today.map(|it| spent(it.of, it.used, it.limit)).collect();
    if !today.is_empty() {
        lines.push(format!("{} {} today", paint.bold("spent"), today.join(", ")));
    }
    if !board.unread.is_empty() {
        lines.push(paint.bold("unread"));
    }
    lines.extend(board.unread.iter().map(|it| run_line(it, full, say)));
    if board.runs.is_empty() {
        lines.push(paint.dim("no runs yet; start one with `callboard run AGENT \"...\"`"));
    } else {
        lines.push(paint.bold("runs"));
    }
    lines.extend(board.runs.iter().map(|it| run_line(it, full, say)));
    if !board.problems.is_empty() {
        lines.push(paint.bold("problems"));
        lines.extend(board.problems.iter().map(|it| format!("  {}", one_line(it, 400))));
    }
    lines.join("\n")
}

fn spent(of: &str, used: f64, limit: f64) -> String {
    if of == "usd" {
        format!("${used:.2} of ${limit:.2}")
    } else {
        format!("{used} of {limit} {of}")
    }
}

fn run_line(it: &RunLine, full: bool, say: Say) -> String {
    let letters = if full { NAME } else { SHORT };
    let name: String = it.run.as_str().chars().take(letters).collect();
    let state = view::state(it.state, say.out_paint);
    let bare = view::state(it.state, crate::paint::Paint::new(false));
    let gap = " ".repeat(15_usize.saturating_sub(bare.len()));
    let age = lasting(it.age_s);
    let head = format!("  {name} {bare}{gap}{:<20} {age:>5} ago  ", it.agent.as_str());
    let room = say.width.unwrap_or(200).saturating_sub(head.chars().count()).clamp(12, 60);
    let of = it.caller.as_ref().map_or_else(String::new, |it| format!("  of {it}"));
    format!("{}{}{of}", head.replacen(&bare, &state, 1), one_line(&it.task, room))
}

fn lasting(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use callboard_config::AgentName;
    use callboard_scheduler::QueueLine;
    use callboard_trace::State;

    use super::*;

    fn line(run: &str) -> RunLine {
        let agent = AgentName::parse("coder").expect("a name");
        let run = RunId::from_text(run);
        RunLine { run, agent, state: State::Working, task: "t".into(), caller: None, age_s: 61.0 }
    }

    #[test]
    fn a_run_is_found_by_its_first_letters_if_only_one_begins_so() {
        let runs = ["r_abc", "r_abd", "r_x"].map(RunId::from_text);
        assert_eq!(pick("r_x", &runs).expect("one"), Some(RunId::from_text("r_x")));
        let several = pick("r_ab", &runs).expect_err("two").to_string();
        assert!(several.starts_with("several runs begin with \"r_ab\""), "{several}");
        assert_eq!(pick("r_q", &runs).expect("none"), None);
    }

    #[test]
    fn the_board_names_who_is_busy_and_counts_the_rest() {
        let agent = |name: &str, active| AgentLine {
            name: AgentName::parse(name).expect("a name"),
            state: if active > 0 { "busy" } else { "idle" },
            active,
            queued: 0,
            success_rate: None,
            p95_s: None,
            left_alone: None,
            last_error: None,
        };
        let board = Board {
            unread: Vec::new(),
            team: "engineering".into(),
            agents: vec![agent("coder", 2), agent("tester", 0)],
            queue: QueueLine { depth: 3, in_line: 2, seats_taken: 2, seats: 50, oldest_s: 75.0 },
            budget: None,
            runs: vec![line("r_abcdefghijklmnopqrstuvwxyz")],
            problems: vec!["agents/lost.md:1: has no description".into()],
        };
        let paint = crate::paint::Paint::new(false);
        let say = Say {
            quiet: false,
            verbose: false,
            out_paint: paint,
            paint,
            out_terminal: false,
            terminal: false,
            width: None,
        };
        insta::assert_snapshot!(told(&board, false, say), @"
        team engineering
          coder                busy     2 at work, 0 waiting
          1 of 2 agents idle
        queue 3 waiting, the oldest for 1m, 2 held by what is shared; 2 of 50 seats taken
        runs
          r_abcdefgh working        coder                   1m ago  t
        problems
          agents/lost.md:1: has no description
        ");
    }

    #[test]
    fn every_limit_of_the_day_is_told() {
        assert_eq!(spent("usd", 1.5, 20.0), "$1.50 of $20.00");
        assert_eq!(spent("model_calls", 7.0, 500.0), "7 of 500 model_calls");
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let told: Vec<String> = [5.0, 61.0, 7_300.0, 200_000.0].map(lasting).into();
        assert_eq!(told, ["5s", "1m", "2h", "2d"]);
    }
}
