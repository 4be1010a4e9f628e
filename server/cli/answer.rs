//! `answer`: tells a run what it asked.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read};

use callboard_scheduler::Node;
use callboard_trace::{Question, RunId, RunView};
use serde_json::json;

use super::ask::ask_for_run;
use super::exit;
use super::fault::{Fault, Result};
use super::on_run::AnswerArgs;
use super::place;
use super::say::Say;
use super::status::named;
use super::view;
use crate::paint::clean;

/// Bytes of one typed answer.
const TYPED: u64 = 64 << 10;

/// Answers with what was typed, or asks on the terminal what the run asks.
pub(crate) async fn answer(args: &AnswerArgs, say: Say) -> Result<u8> {
    let tell = async |node: &mut Node| {
        let desk = &node.desk();
        let caller = place::caller();
        let run = named(desk, &args.which.run, &caller).await?;
        let asks = desk.view(&run, &caller).await?.questions;
        let answers = answers(args, &run, &asks, say)?;
        let asked = json!({"run": run, "answers": answers, "wait_s": args.wait});
        shown(&ask_for_run(desk, "team_answer", asked).await?, args, say)
    };
    place::looking(&args.which.place, tell).await
}

fn shown(run: &RunView, args: &AnswerArgs, say: Say) -> Result<u8> {
    say.data(&if args.which.json { view::line(run) } else { view::whole(run, false, say) })?;
    if args.wait == 0 && !run.state.is_over() {
        let look = place::command(&args.which.place, &format!("status {} --wait 60", run.run));
        let work = place::command(&args.which.place, "work --until-idle");
        say.tell(&format!("it goes on when a process works on this data: a server, or {work}"));
        say.tell(&format!("look at it: {look}"));
    }
    Ok(exit::code(run))
}

fn answers(
    args: &AnswerArgs,
    run: &RunId,
    asks: &[Question],
    say: Say,
) -> Result<BTreeMap<String, String>> {
    if !args.answers.is_empty() {
        return pairs(&args.answers, asks);
    }
    if asks.is_empty() {
        let look = place::command(&args.which.place, &format!("status {run}"));
        return Err(Fault::call(format!("{run} asks nothing"), format!("look with `{look}`")));
    }
    if !std::io::stdin().is_terminal() {
        return Err(Fault::call(
            format!("{run} asks {}, and there is no answer", listed(asks)),
            "write QUESTION=VALUE behind the run, or answer on a terminal",
        ));
    }
    asks.iter().map(|it| Ok((it.id.clone(), typed(it, say)?))).collect()
}

/// What was typed, by question; none is answered twice.
fn pairs(typed: &[String], asks: &[Question]) -> Result<BTreeMap<String, String>> {
    let mut answers = BTreeMap::new();
    for it in typed {
        let (question, value) = pair(it, asks)?;
        if let Some(before) = answers.insert(question.clone(), value) {
            return Err(Fault::call(
                format!("{question} is given two answers: {before:?}, and {it:?}"),
                "give one, in quotes if it has several words",
            ));
        }
    }
    Ok(answers)
}

/// `QUESTION=VALUE`, or the value alone where one question is open.
fn pair(typed: &str, asks: &[Question]) -> Result<(String, String)> {
    if let Some((question, value)) = typed.split_once('=')
        && question.starts_with("q_")
    {
        return Ok((question.to_owned(), value.to_owned()));
    }
    match asks {
        [one] => Ok((one.id.clone(), typed.to_owned())),
        [] => Err(Fault::call(
            format!("{typed:?} answers no question: none is open"),
            "`callboard status RUN` shows what a run waits for",
        )),
        more => Err(Fault::call(
            format!("{typed:?} does not say which question it answers"),
            format!("write QUESTION={typed}; open are {}", listed(more)),
        )),
    }
}

fn listed(asks: &[Question]) -> String {
    let names: Vec<&str> = asks.iter().map(|it| it.id.as_str()).collect();
    names.join(", ")
}

/// Asks on the terminal until one of the options, or something at all, is typed.
fn typed(asks: &Question, say: Say) -> Result<String> {
    let options = asks.options.join(" | ");
    let options = if options.is_empty() { String::new() } else { format!(" ({options})") };
    loop {
        say.complain(&format!("{}{options}", clean(&asks.prompt)));
        let mut line = String::new();
        let read = std::io::stdin().lock().take(TYPED).read_line(&mut line);
        let read = read.map_err(|it| Fault::broken(format!("stdin cannot be read: {it}"), ""))?;
        if read == 0 {
            return Err(Fault::call("no answer was typed", "nothing was answered"));
        }
        let line = line.trim();
        if asks.takes(line) && !line.is_empty() {
            return Ok(line.to_owned());
        }
        say.complain(&format!("{line:?} is no answer here; type one{options}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(id: &str) -> Question {
        let (id, kind) = (id.to_owned(), "rerun".to_owned());
        let (expires_s, expires) = (None, None);
        Question { id, kind, prompt: "go on?".to_owned(), options: Vec::new(), expires_s, expires }
    }

    #[test]
    fn the_question_may_be_left_out_where_one_is_open() {
        let told = |typed: &str, open: &[Question]| match pair(typed, open) {
            Ok((question, value)) => format!("{question} {value}"),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(told("rerun", &[asks("q_a_1")]), "q_a_1 rerun");
        assert_eq!(told("a=b", &[asks("q_a_1")]), "q_a_1 a=b");
        assert_eq!(told("q_b_2=skip", &[asks("q_a_1"), asks("q_b_2")]), "q_b_2 skip");
        insta::assert_snapshot!(told("skip", &[asks("q_a_1"), asks("q_b_2")]), @r#"
        "skip" does not say which question it answers
          help: write QUESTION=skip; open are q_a_1, q_b_2
        "#);
        assert!(told("skip", &[]).contains("none is open"));
        let twice = pairs(&["good".into(), "q_a_1=bad".into()], &[asks("q_a_1")]);
        let fault = twice.expect_err("two answers").to_string();
        assert!(fault.starts_with("q_a_1 is given two answers: \"good\", and "), "{fault}");
    }
}
