//! `run`: a task for an agent, done by this process or left to another.

use std::io::{IsTerminal, Read};

use callboard_config::{AgentName, Limits, Team};
use callboard_scheduler::{Ask, Node};
use callboard_trace::{RunId, RunView};

use super::args::RunArgs;
use super::exit;
use super::fault::Fault;
use super::follow::{Show, Stayed, stay};
use super::place;
use super::problems;
use super::say::Say;
use super::view;

/// Starts or joins a run and waits for it, unless it is to be left to others.
pub(crate) async fn run(args: &RunArgs, say: Say) -> Result<u8, Fault> {
    let mut node = place::node(&args.place, false).await?;
    problems::tell(&node.desk().team(), say);
    let done = with(&mut node, args, say).await;
    place::leave(node, say).await;
    done
}

async fn with(node: &mut Node, args: &RunArgs, say: Say) -> Result<u8, Fault> {
    let desk = &node.desk();
    let ask = ask(args, &desk.team())?;
    let caller = ask.caller.clone();
    let submitted = desk.submit(ask).await?;
    let run = submitted.run;
    if submitted.joined {
        say.tell(&format!("joined {run}, which was started before; --fresh starts anew"));
    }
    if args.detach {
        return detached(&desk.view(&run, &caller).await?, args, say);
    }
    node.work_on(&run);
    let show = match (say.quiet, args.follow, say.terminal) {
        (true, false, _) => Show::Nothing,
        (_, true, _) | (_, _, false) => Show::Lines,
        (_, _, true) => Show::Tree,
    };
    match stay(desk, &run, &caller, show, say).await? {
        Stayed::Settled(view) => settled(&view, args, say),
        Stayed::Left => Ok(left(&run, say)),
    }
}

fn ask(args: &RunArgs, team: &Team) -> Result<Ask, Fault> {
    let to = agent(&args.agent, team)?;
    let context = args.context.clone().unwrap_or_default();
    let most = team.limits.context_bytes;
    if context.len() > most {
        let bytes = context.len();
        return Err(Fault::call(
            format!("the context holds {bytes} bytes, at most {most}"),
            "write what matters of it, or raise `limits.context_bytes` in team.yaml",
        ));
    }
    Ok(Ask {
        to,
        task: task(args.task.as_deref(), &team.limits)?,
        context,
        priority: args.priority,
        key: args.key.clone(),
        fresh: args.fresh,
        deadline_s: args.deadline,
        traceparent: None,
        caller: place::caller(),
    })
}

fn agent(typed: &str, team: &Team) -> Result<AgentName, Fault> {
    let name = AgentName::parse(&typed.to_lowercase());
    name.filter(|it| team.agents.contains_key(it)).ok_or_else(|| {
        let names: Vec<&str> = team.agents.keys().map(AgentName::as_str).collect();
        let meant = team.nearest(typed).map(|it| format!("; did you mean \"{it}\"?"));
        Fault::call(
            format!("agent {typed:?} is not in this team{}", meant.unwrap_or_default()),
            format!("there are: {}", names.join(", ")),
        )
    })
}

/// The task, from the command line or from stdin, within its limit.
fn task(typed: Option<&str>, limits: &Limits) -> Result<String, Fault> {
    let task = given(typed, limits)?;
    let (letters, most) = (task.chars().count(), limits.task_chars);
    if task.trim().is_empty() {
        return Err(Fault::call("the task is empty", "write what to do"));
    }
    if letters > most {
        return Err(Fault::call(
            format!("the task holds more than {most} characters"),
            "put what belongs to it into `--context`, or raise `limits.task_chars` in team.yaml",
        ));
    }
    Ok(task)
}

fn given(typed: Option<&str>, limits: &Limits) -> Result<String, Fault> {
    match typed {
        Some("-") => stdin(limits),
        Some(text) => Ok(text.to_owned()),
        None if std::io::stdin().is_terminal() => {
            Err(Fault::call("there is no task", "give it in quotes, or `-` to read it from stdin"))
        }
        None => stdin(limits),
    }
}

/// Reads no more than a task may hold and a little, so that too much is seen to be too much.
fn stdin(limits: &Limits) -> Result<String, Fault> {
    let most = limits.task_chars as u64 * 4 + 4;
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Fault::broken(format!("stdin cannot be read: {error}"), ""))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // Cut inside a letter: it is too long in any case.
        Err(error) if error.utf8_error().error_len().is_none() => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(_) => return Err(Fault::call("the task on stdin is no UTF-8 text", "")),
    };
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn detached(view: &RunView, args: &RunArgs, say: Say) -> Result<u8, Fault> {
    if args.json {
        say.data(&view::line(view))?;
    } else {
        say.data(view.run.as_str())?;
    }
    say.tell(&format!(
        "accepted and on disk; the next `callboard serve` or `callboard run` on this data does it\n\
         look with: callboard status {} --wait 60",
        view.run
    ));
    Ok(0)
}

fn settled(view: &RunView, args: &RunArgs, say: Say) -> Result<u8, Fault> {
    let written = if args.json {
        say.data(&view::line(view))
    } else {
        view::result(view, say).map_or(Ok(()), |text| say.data(&text))
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    say.tell(&view::summary(view, say.paint));
    Ok(exit::code(view))
}

fn left(run: &RunId, say: Say) -> u8 {
    say.complain(&format!(
        "left {run}: it stays, and the next process on this data resumes it\n\
         look with: callboard status {run}"
    ));
    exit::LEFT
}
