//! `memory`: what the workspace remembers, shown, searched, added to and erased by its owner.

use callboard_scheduler::Desk;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::fault::{Fault, Result};
use super::place::{self, Where};
use super::say::Say;

/// `memory`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard memory list
  callboard memory search release branch
  callboard memory remember release/branch \"we release from main\" --tag git
  callboard memory forget release/branch
  callboard memory rebuild                  the index, from the records
What you remember here is shown to every caller's runs that it concerns, and stays until you forget it.
Forgetting erases the text; a run that has said it in words of its own keeps those.")]
pub(crate) struct MemoryArgs {
    /// What to do
    #[arg(value_enum)]
    act: Act,
    /// Words to search for; a key and its text to remember; a key to forget
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// What it is about that is remembered
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Act {
    List,
    Search,
    Remember,
    Forget,
    Rebuild,
}

/// Does it.
pub(crate) async fn memory(args: &MemoryArgs, say: Say) -> Result<u8> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let fits = match args.act {
        Act::List | Act::Rebuild => words.is_empty(),
        Act::Search => !words.is_empty(),
        Act::Remember => words.len() == 2,
        Act::Forget => words.len() == 1,
    };
    if !fits {
        let help = "`callboard memory --help` shows one example of each";
        return Err(Fault::call("these are not the words that this takes", help));
    }
    let node = place::node(&args.place, false).await?;
    let done = act(args, &words, &node.desk(), say).await;
    node.stop().await;
    done.map(|()| 0)
}

async fn act(args: &MemoryArgs, words: &[&str], desk: &Desk, say: Say) -> Result<()> {
    let done = match (args.act, words) {
        (Act::List, _) => {
            return show(&desk.remembered(None).await.map_err(Fault::Refused)?, args, say);
        }
        (Act::Search, _) => {
            let found = desk.remembered(Some(&words.join(" "))).await;
            return show(&found.map_err(Fault::Refused)?, args, say);
        }
        (Act::Remember, [key, text, ..]) => {
            desk.remember(key, text, &args.tags).await.map(|()| "remembered".to_owned())
        }
        (Act::Forget, [key, ..]) => desk.forget(key).await.map(|()| "forgotten".to_owned()),
        (Act::Rebuild, _) => {
            desk.rebuild_memory().await.map(|it| format!("made anew from {it} records"))
        }
        (Act::Remember | Act::Forget, _) => return Ok(()),
    };
    say.tell(&done.map_err(Fault::Refused)?);
    Ok(())
}

fn show(found: &[Value], args: &MemoryArgs, say: Say) -> Result<()> {
    if found.is_empty() && !args.json {
        say.tell("nothing is remembered");
    }
    for it in found {
        say.data(&if args.json { it.to_string() } else { line(it) })?;
    }
    Ok(())
}

/// One entry on one line: nothing in it can move the cursor or look like another.
fn line(it: &Value) -> String {
    let text = |name: &str| it.get(name).and_then(Value::as_str);
    let by = text("agent").unwrap_or("you");
    let whose = text("caller").map_or_else(String::new, |it| format!(", for {it}"));
    let until = text("expires").map_or_else(String::new, |it| format!(", until {it}"));
    let taint = if it.get("taint").is_some() { ", from untrusted content" } else { "" };
    let (key, said, at) = (text("key"), text("text"), text("at").unwrap_or_default());
    let text = format!("{}: {}", key.unwrap_or_default(), said.unwrap_or_default());
    let plain: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    format!("{plain}  ({by}, {at}{until}{whose}{taint})")
}
