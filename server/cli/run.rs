//! `run`: a task for an agent, done by this process or left to another.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use callboard_config::amounts::{amounts, words};
use callboard_config::budget::Caps;
use callboard_config::{AgentName, Limits, Team};
use callboard_scheduler::{Ask, Listens, Node, PlanAsk};
use callboard_trace::{FailureCode, RunId, RunView, State};
use serde_json::Value;
use tokio::time::Instant;

use super::exit;
use super::fault::{Fault, Result};
use super::follow::{Show, Stayed, stay};
use super::graph;
use super::on_run::RunArgs;
use super::place;
use super::problems;
use super::say::Say;
use super::view;

/// Bytes read of a schema's file: a little more than a schema may have.
const SCHEMA_BYTES: usize = 512 << 10;
/// Longest wait, in seconds: a year, so that no sum overflows.
const WAIT_MAX: u64 = 31_536_000;

/// Starts or joins a run and waits for it, unless it is to be left to others.
pub(crate) async fn run(args: &RunArgs, say: Say) -> Result<u8> {
    let mut node = place::node(&args.place, false).await?;
    problems::tell(&node.desk().team(), say);
    let done = with(&mut node, args, say).await;
    place::leave(node, say).await;
    done
}

async fn with(node: &mut Node, args: &RunArgs, say: Say) -> Result<u8> {
    let desk = &node.desk();
    let ask = ask(args, &desk.team())?;
    let caller = ask.caller.clone();
    let waits = !args.detach;
    let listens = Listens { waits, rejoins: waits && args.key.is_none() };
    let submitted = match &args.tasks {
        Some(file) => {
            let (tasks, split) = graph::tasks(file)?;
            desk.call_plan(PlanAsk { tasks, split, ask }, listens).await?
        }
        None if args.agent.is_none() => desk.call_team(ask, listens).await?,
        None => desk.call(ask, listens).await?,
    };
    let run = submitted.run;
    let listening = desk.listen(&run, &caller, waits);
    if submitted.joined {
        say.tell(&format!("joined {run}, which was started before; --fresh starts anew"));
    }
    if args.detach {
        return left_open(&desk.view(&run, &caller).await?, args, say);
    }
    node.work_on(&run);
    let show = match (say.quiet, args.follow, say.terminal) {
        (true, false, _) => Show::Nothing,
        (_, true, _) | (_, _, false) => Show::Lines,
        (_, _, true) => Show::Tree,
    };
    let until = args.wait.map(|it| Instant::now() + Duration::from_secs(it.min(WAIT_MAX)));
    match stay(desk, &run, &caller, until, (show, say)).await? {
        Stayed::Settled(mut view) => {
            view.notices.extend(desk.notices(&caller, Some(run.as_str())).await);
            if settled(&view, args, say)? && view.state.is_over() {
                listening.delivered();
            }
            Ok(exit::code(&view))
        }
        Stayed::Open(view) => left_open(&view, args, say),
        Stayed::Left => {
            say.complain(&format!("left {run}: {}", onward(&run, args)));
            Ok(exit::LEFT)
        }
    }
}

fn ask(args: &RunArgs, team: &Team) -> Result<Ask> {
    let to = args.agent.as_deref().map_or(Ok(team.entry.clone()), |it| agent(it, team))?;
    let most = team.limits.context_bytes;
    let context = context(args, most)?;
    if context.len() > most {
        let bytes = context.len();
        return Err(Fault::call(
            format!("the context holds {bytes} bytes, at most {most}"),
            "write what matters of it, or raise `limits.context_bytes` in team.yaml",
        ));
    }
    Ok(Ask {
        to,
        task: match args.tasks {
            Some(_) => String::new(),
            None => task(args.task.as_deref(), &team.limits)?,
        },
        context,
        priority: args.priority,
        key: args.key.clone(),
        fresh: args.fresh,
        deadline_s: args.deadline,
        budget: args.budget.as_deref().map(budget).transpose()?,
        output_schema: args.schema.as_deref().map(form).transpose()?,
        tasks: 1,
        traceparent: None,
        session: args.session.clone(),
        caller: place::caller(),
    })
}

fn budget(typed: &str) -> Result<Caps> {
    let amounts = amounts(&words(typed), "--budget").map_err(|told| {
        Fault::call(told.join("\n"), "write amounts such as `--budget tokens=10000,usd=0.5`")
    })?;
    Ok(Caps::of_amounts(&amounts))
}

/// The context, from the command line or from a file.
fn context(args: &RunArgs, most: usize) -> Result<String> {
    match &args.context_file {
        None => Ok(args.context.clone().unwrap_or_default()),
        Some(path) => file(path, most, "or give the text with `--context`"),
    }
}

/// A schema of the answer, out of a file.
fn form(path: &Path) -> Result<Value> {
    let written = file(path, SCHEMA_BYTES, "which holds a JSON Schema")?;
    let read: Result<Value, _> = serde_json::from_str(&written);
    let wrong = |why: String| {
        Fault::call(
            format!("{}{why}", path.display()),
            "`--schema` takes a JSON Schema of the answer",
        )
    };
    let schema = read.map_err(|it| wrong(format!(": no JSON: {it}")))?;
    callboard_config::schema::problem(&schema).map_or(Ok(schema), |it| Err(wrong(it)))
}

/// A text file, of which no more is read than it may hold and a little.
fn file(path: &Path, most: usize, instead: &str) -> Result<String> {
    let file = std::fs::File::open(path);
    let mut bytes = Vec::new();
    let read = file.and_then(|it| it.take(most as u64 + 4).read_to_end(&mut bytes));
    read.map_err(|error| {
        let help = format!("name a file that can be read, {instead}");
        Fault::call(format!("{} cannot be read: {error}", path.display()), help)
    })?;
    text(bytes, &path.display().to_string())
}

fn agent(typed: &str, team: &Team) -> Result<AgentName> {
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
fn task(typed: Option<&str>, limits: &Limits) -> Result<String> {
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

fn given(typed: Option<&str>, limits: &Limits) -> Result<String> {
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
fn stdin(limits: &Limits) -> Result<String> {
    let most = limits.task_chars as u64 * 4 + 4;
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Fault::broken(format!("stdin cannot be read: {error}"), ""))?;
    Ok(text(bytes, "the task on stdin")?.trim_end_matches(['\r', '\n']).to_owned())
}

fn text(bytes: Vec<u8>, what: &str) -> Result<String> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // Cut inside a letter: it is too long in any case.
        Err(error) if error.utf8_error().error_len().is_none() => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(_) => Err(Fault::call(format!("{what} is no UTF-8 text"), "")),
    }
}

/// What is said of a run that is not waited for, or not any longer.
fn left_open(view: &RunView, args: &RunArgs, say: Say) -> Result<u8> {
    say.data(&if args.json { view::line(view) } else { view.run.to_string() })?;
    say.tell(&format!("accepted and on disk: {}", onward(&view.run, args)));
    Ok(0)
}

/// Tells how it came out; whether anybody was there to read it.
fn settled(view: &RunView, args: &RunArgs, say: Say) -> Result<bool> {
    let shaped = view.answer.as_ref().filter(|_| args.schema.is_some());
    let is_unfit = view.state == State::Failed
        || view.error.as_ref().is_some_and(|it| it.code == FailureCode::BadReply);
    let written = if args.json {
        say.data(&view::line(view))
    } else if let Some(answer) = shaped.filter(|_| is_unfit) {
        // A program reads stdout: what is not of its schema is for people.
        say.complain(&format!("not of the schema:\n{}", view::json(answer, say)));
        Ok(())
    } else if let Some(answer) = shaped {
        say.data(&view::json(answer, say))
    } else {
        view::result(view, say).map_or(Ok(()), |text| say.data(&text))
    };
    let is_read = match written {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => false,
        Err(error) => return Err(error.into()),
    };
    say.tell(&view::summary(view, say.paint));
    if !view.questions.is_empty() {
        let answer = place::command(&args.place, &format!("answer {}", view.run));
        say.tell(&format!("  answer it:  {answer}"));
    }
    Ok(is_read)
}

/// What becomes of the run now, and how to go on with it.
fn onward(run: &RunId, args: &RunArgs) -> String {
    let command = |verb: String| place::command(&args.place, &verb);
    format!(
        "it goes on when a process works on this data: a server, or `callboard work`
  look at it:  {}
  go on:       {}
  end it:      {}",
        command(format!("status {run} --wait 60")),
        command("work --until-idle".to_owned()),
        command(format!("control {run} cancel"))
    )
}
