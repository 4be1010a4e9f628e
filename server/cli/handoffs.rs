//! `handoffs`: who handed what to whom, and what became of it.

use callboard_scheduler::Node;
use serde_json::{Value, json};

use super::ask::ask;
use super::fault::Result;
use super::on_run::Which;
use super::place;
use super::say::Say;
use super::status::named;
use crate::paint::{Paint, one_line};

/// Handoffs read at once.
const PAGE: u32 = 200;

/// Tells every handoff of a run's tree, in the order in which they were made.
pub(crate) async fn handoffs(args: &Which, say: Say) -> Result<u8> {
    let tell = async |node: &mut Node| {
        let desk = &node.desk();
        let run = named(desk, &args.run, &place::caller()).await?;
        let (mut after, mut told) = (0, 0);
        loop {
            let asked = json!({"run": run, "view": "handoffs", "after": after, "limit": PAGE});
            let page = ask(desk, "team_status", asked).await?;
            for it in page["handoffs"].as_array().into_iter().flatten() {
                say.data(&if args.json { it.to_string() } else { entry(it, say.out_paint) })?;
                told += 1;
            }
            match page["next"].as_u64() {
                Some(next) => after = next,
                None if told == 0 => {
                    say.tell(&format!("{run} handed nothing on"));
                    return Ok(0);
                }
                None => return Ok(0),
            }
        }
    };
    place::looking(&args.place, tell).await
}

/// One handoff: who to whom, how it stands, and the summary below.
fn entry(it: &Value, paint: Paint) -> String {
    let text = |name: &str| one_line(it[name].as_str().unwrap_or_default(), 400);
    let state = match text("state") {
        it if it == "completed" => paint.green(&it),
        it if it == "failed" || it == "refused" => paint.red(&it),
        it => paint.yellow(&it),
    };
    let both = format!("{} → {}", text("from"), text("to"));
    let head = [paint.bold(&both), state, text("mode"), paint.dim(&text("run"))].join("  ");
    let summary = |name: &str| one_line(it["summary"][name].as_str().unwrap_or_default(), 400);
    let open = it["summary"]["open_questions"].as_array().into_iter().flatten();
    let open = open.filter_map(Value::as_str).map(|it| one_line(it, 400));
    let open = open.collect::<Vec<_>>().join("; ");
    let below = [
        ("why", text("why")),
        ("task", text("task")),
        ("did", summary("did")),
        ("must know", summary("must_know")),
        ("do next", summary("do_next")),
        ("open", open),
    ];
    let below = below.iter().filter(|it| !it.1.is_empty());
    let below: String = below.map(|(name, said)| format!("\n  {name}: {said}")).collect();
    head + &below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handoff_is_told_with_what_its_receiver_was_told() {
        let it = json!({"id": "h_1", "from": "coder", "to": "tester", "run": "r_b", "mode": "transfer",
            "state": "refused", "why": "not\u{1b}[2J mine", "task": "try it",
            "summary": {"did": "", "must_know": "no tests yet", "do_next": "an empty file"}});
        insta::assert_snapshot!(entry(&it, Paint::new(false)), @"
        coder → tester  refused  transfer  r_b
          why: not[2J mine
          task: try it
          must know: no tests yet
          do next: an empty file
        ");
    }
}
