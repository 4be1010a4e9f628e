//! `read`: anything with a uri, whole or in part, as `team_read` pages through it.

use callboard_scheduler::{Desk, Node};
use serde_json::json;

use super::ask::ask;
use super::fault::Result;
use super::on_run::ReadArgs;
use super::place;
use super::say::Say;
use super::status::named;
use crate::paint::clean;

/// Tokens of one page, the most that the tool gives.
const PAGE: u64 = 10_000;
/// How the uri of a run begins.
const RUNS: &str = "team://runs/";

/// Prints it page after page; with `--json`, one page.
pub(crate) async fn read(args: &ReadArgs, say: Say) -> Result<u8> {
    let look = async |node: &mut Node| {
        let desk = &node.desk();
        let mut offset = args.offset.unwrap_or(0);
        let uri = whole(desk, &args.uri).await?;
        loop {
            let asked = json!({
                "uri": uri, "offset": offset, "max_tokens": PAGE, "grep": args.grep,
            });
            let page = ask(desk, "team_read", asked).await?;
            if args.json {
                say.data(&page.to_string())?;
                return Ok(0);
            }
            let text = page["text"].as_str().unwrap_or_default();
            let text = if say.out_terminal { clean(text) } else { text.to_owned() };
            say.file(text.as_bytes())?;
            match page["next_offset"].as_u64().filter(|it| *it > offset) {
                Some(next) => offset = next,
                None if text.is_empty() || text.ends_with('\n') => return Ok(0),
                None => {
                    say.data("")?;
                    return Ok(0);
                }
            }
        }
    };
    place::looking(&args.place, look).await
}

/// The uri with the whole name of its run, of which `latest` or the first letters were typed.
async fn whole(desk: &Desk, typed: &str) -> Result<String> {
    let is_bare = typed == "latest" || typed.starts_with("r_");
    let path = typed.strip_prefix(RUNS).or(is_bare.then_some(typed));
    let Some(path) = path.filter(|it| !it.is_empty()) else { return Ok(typed.to_owned()) };
    let (run, part) = path.split_once('/').unwrap_or((path, ""));
    let run = named(desk, run, &place::caller()).await?;
    Ok(format!("{RUNS}{run}/{part}"))
}
