//! `trace`: the story of a run's whole tree.

use callboard_scheduler::{Desk, Node};

use super::fault::Result;
use super::on_run::Which;
use super::place;
use super::say::Say;
use super::status::named;
use crate::paint::clean;

/// Records read at once.
const PAGE: u32 = 200;

/// Tells every record, oldest first, reading page by page.
pub(crate) async fn trace(args: &Which, say: Say) -> Result<u8> {
    let look = async |node: &mut Node| tell(&node.desk(), args, say).await.map(|()| 0);
    place::looking(&args.place, look).await
}

async fn tell(desk: &Desk, args: &Which, say: Say) -> Result<()> {
    let caller = place::caller();
    let run = named(desk, &args.run, &caller).await?;
    let mut after = 0;
    loop {
        let page = desk.page(&run, &caller, after, PAGE).await?;
        for (_, record) in &page.records {
            let line = if args.json {
                serde_json::to_string(record).unwrap_or_default()
            } else {
                clean(&callboard_trace::story_line(record))
            };
            say.data(&line)?;
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}
