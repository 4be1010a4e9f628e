//! `control`: acts on a run or on an agent, in the words of `team_control`.

use std::time::Duration;

use callboard_config::amounts::words;
use callboard_scheduler::{Desk, Node};
use callboard_tools::ALL;
use serde_json::{Value, json};

use super::ask::{ask, ask_for_run};
use super::fault::Result;
use super::on_run::ControlArgs;
use super::place;
use super::say::Say;
use super::status::named;
use super::view;

/// How long a run that nobody works on may take to end.
const END: Duration = Duration::from_secs(5);

/// Acts, and shows the run as it is then.
pub(crate) async fn control(args: &ControlArgs, say: Say) -> Result<u8> {
    let act = async |node: &mut Node| {
        let desk = &node.desk();
        let caller = place::caller();
        if args.which.run == ALL {
            return on_all(desk, args, say).await;
        }
        if desk.team().agents.keys().any(|it| it.as_str() == args.which.run) {
            return on_agent(desk, args, say).await;
        }
        let run = named(desk, &args.which.run, &caller).await?;
        let asked = to(args, "run", run.as_str());
        let mut view = ask_for_run(desk, "team_control", asked).await?;
        if args.action == "cancel" && !view.state.is_over() {
            // Nobody works here: what is cancelled needs no model to end, so it is ended by us.
            node.work_on(&run);
            view = desk.wait(&run, &caller, END).await?;
        }
        say.data(&if args.json { view::line(&view) } else { view::whole(&view, false, say) })?;
        if args.action == "set_budget" && view.state.is_over() {
            say.tell(&format!(
                "the new limits count when it goes on: callboard control {run} retry"
            ));
        }
        if args.action == "retry" {
            let work = place::command(&args.which.place, "work --until-idle");
            say.tell(&format!("it goes on when a process works on this data: a server, or {work}"));
        }
        Ok(0)
    };
    place::looking(&args.which.place, act).await
}

/// Acts on all open tasks of the caller, and says how many there were.
async fn on_all(desk: &Desk, args: &ControlArgs, say: Say) -> Result<u8> {
    let shown = ask(desk, "team_control", to(args, "run", ALL)).await?;
    let is_any = shown["runs"] != 0;
    say.data(&match args.json {
        true => shown.to_string(),
        false if is_any => format!("told to {} of your open tasks: {}", shown["runs"], args.action),
        false => "no task of yours is open".to_owned(),
    })?;
    if is_any {
        let work = place::command(&args.which.place, "work --until-idle");
        say.tell(&format!("what no process works on ends when one does: a server, or {work}"));
    }
    Ok(0)
}

/// Acts on an agent, and says how it stands then.
async fn on_agent(desk: &Desk, args: &ControlArgs, say: Say) -> Result<u8> {
    let shown = ask(desk, "team_control", to(args, "agent", &args.which.run)).await?;
    let count = |name: &str| shown[name].as_u64().unwrap_or_default();
    say.data(&match args.json {
        true => shown.to_string(),
        false => format!(
            "{} is {}: {} at work, {} waiting",
            args.which.run,
            shown["state"].as_str().unwrap_or_default(),
            count("active"),
            count("queued")
        ),
    })?;
    Ok(0)
}

fn to(args: &ControlArgs, what: &str, name: &str) -> Value {
    json!({(what): name, "action": args.action, "value": value(args), "reason": args.reason})
}

/// A number or limits where they are meant; a message that is one stays a text.
fn value(args: &ControlArgs) -> Value {
    let Some(typed) = &args.value else { return Value::Null };
    if args.action == "set_budget" {
        return words(typed);
    }
    let number = typed.parse::<u64>().ok().filter(|_| args.action == "set_priority");
    number.map_or_else(|| json!(typed), |it| json!(it))
}
