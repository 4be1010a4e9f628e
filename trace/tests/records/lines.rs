//! Tables: one line about a run in progress, and short names.

use callboard_trace::{Question, Queued, RunId, RunView, State, progress_line, short};

use crate::stage::Stage;

fn view(state: State) -> RunView {
    RunView { run: RunId::from_text("r_7k2mabcdef"), state, ..Stage::new().view("a") }
}

#[test]
fn the_line_says_what_matters_most() {
    let step = || Some("3: note".to_string());
    let queue = |it: &str| Some(Queued { pos: Some(4), waiting_for: it.into(), eta_s: None });
    let questions = vec![Question {
        id: "q_1".into(),
        kind: "text".into(),
        prompt: "which port?".into(),
        options: Vec::new(),
        expires_s: None,
        expires: None,
    }];
    let working = RunView { queue: None, ..view(State::Working) };
    let queued = view(State::Queued);
    for (view, expected) in [
        (RunView { step: None, ..working.clone() }, "starting"),
        (RunView { step: step(), ..working.clone() }, "3: note"),
        (RunView { queue: queue("a seat"), step: step(), ..queued.clone() }, "waiting for a seat"),
        (RunView { queue: queue("paused by ann"), ..queued.clone() }, "paused by ann"),
        (RunView { questions, step: step(), ..working.clone() }, "asks: which port?"),
        (RunView { state: State::Completed, step: step(), ..working.clone() }, "completed"),
        (RunView { state: State::Cancelled, ..queued }, "cancelled"),
        (RunView { step: Some("1:\nx\u{2028}y".into()), ..working }, "1: x y"),
    ] {
        assert_eq!(progress_line(&view), format!("r_7k2m coder: {expected}"));
    }
}

#[test]
fn a_long_line_is_cut() {
    let view = RunView { queue: None, step: Some("x".repeat(500)), ..view(State::Working) };
    let line = progress_line(&view);
    assert_eq!(line.chars().count(), 101);
    assert!(line.ends_with("x…"), "{line}");
}

#[test]
fn a_name_is_cut_between_letters() {
    for (name, expected) in [
        ("r_7k2mabcdef", "r_7k2m"),
        ("r_7k2m", "r_7k2m"),
        ("r_7", "r_7"),
        ("", ""),
        ("r_abcé-and-on", "r_abc"),
        ("r_日本語", "r_日"),
    ] {
        assert_eq!(short(&RunId::from_text(name)), expected, "{name}");
    }
}
