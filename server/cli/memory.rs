//! `memory`: what the workspace remembers, shown, searched, added to and erased by its owner.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::fault::Fault;
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
What you remember here is shown to every caller's runs that it concerns, and stays until you forget it.
Forgetting erases the text; a run that has said it in words of its own keeps those.")]
pub(crate) struct MemoryArgs {
    #[command(subcommand)]
    act: Act,
    #[command(flatten)]
    place: Where,
    /// One JSON object a line on stdout
    #[arg(long, global = true)]
    json: bool,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
enum Act {
    /// Show every entry, the newest first
    List,
    /// Show the entries with one of these words, the best match first
    Search {
        /// What to look for
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Keep something, in the place of what is there under that key
    Remember {
        /// What it is called
        key: String,
        /// What is to be remembered, up to 2,000 characters
        text: String,
        /// What it is about
        #[arg(long = "tag", value_name = "WORD")]
        tags: Vec<String>,
    },
    /// Erase what is there under that key
    Forget {
        /// What it is called
        key: String,
    },
    /// Make the index anew from the records
    Rebuild,
}

/// Does it.
pub(crate) async fn memory(args: &MemoryArgs, say: Say) -> Result<u8, Fault> {
    let node = place::node(&args.place, false).await?;
    let done = act(args, &node.desk(), say).await;
    node.stop().await;
    done.map(|()| 0)
}

async fn act(args: &MemoryArgs, desk: &callboard_scheduler::Desk, say: Say) -> Result<(), Fault> {
    match &args.act {
        Act::List => show(&desk.remembered(None).await.map_err(Fault::Refused)?, args, say),
        Act::Search { words } => {
            let found = desk.remembered(Some(&words.join(" "))).await;
            show(&found.map_err(Fault::Refused)?, args, say)
        }
        Act::Remember { key, text, tags } => {
            desk.remember(key, text, tags).await.map_err(Fault::Refused)?;
            say.tell("remembered");
            Ok(())
        }
        Act::Forget { key } => {
            desk.forget(key).await.map_err(Fault::Refused)?;
            say.tell("forgotten");
            Ok(())
        }
        Act::Rebuild => {
            let n_records = desk.rebuild_memory().await.map_err(Fault::Refused)?;
            say.tell(&format!("made anew from {n_records} records"));
            Ok(())
        }
    }
}

fn show(found: &[Value], args: &MemoryArgs, say: Say) -> Result<(), Fault> {
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
