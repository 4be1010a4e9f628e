//! Tables: where a run stands, who has the work, and what it waits for.

use callboard_config::Mode::{Delegate, Transfer};
use callboard_trace::{Action, EndState, Event, State, Waiting};

use crate::stage::{SECOND, Stage, done, end};

/// What the view of the root says: state, agent, step, what it waits for.
type Said<'a> = (State, &'a str, Option<&'a str>, Option<&'a str>);

const ASKS: Option<&str> = Some("1: asks local/small");
const BUSY: Option<&str> = Some("provider \"local\" answered 429");

fn check(case: &str, stage: &Stage, expected: Said<'_>) {
    let view = stage.view("a");
    let queue = view.queue.as_ref().map(|it| it.waiting_for.as_str());
    let found = (view.state, view.agent.as_str(), view.step.as_deref(), queue);
    assert_eq!(found, expected, "{case}");
}

#[test]
fn one_run_alone() {
    type Play = fn(&mut Stage) -> &mut Stage;
    let cases: &[(&str, Play, Said<'_>)] = &[
        ("nobody has begun", |it| it, (State::Queued, "coder", None, Some("a seat"))),
        ("its model is asked", |it| it.asks("a", 1), (State::Working, "coder", ASKS, None)),
        (
            "its model has answered",
            |it| it.asks("a", 1).hears("a", 1, 1, 1),
            (State::Working, "coder", ASKS, None),
        ),
        (
            "it waits to try again",
            |it| it.asks("a", 1).fails("a", 1, Some(SECOND)),
            (State::Queued, "coder", ASKS, BUSY),
        ),
        (
            "it failed and is not to be tried like that",
            |it| it.asks("a", 1).fails("a", 1, None),
            (State::Working, "coder", ASKS, None),
        ),
        (
            "it tries again",
            |it| it.asks("a", 1).fails("a", 1, Some(SECOND)).asks("a", 1),
            (State::Working, "coder", ASKS, None),
        ),
        (
            "it waits at a gate",
            |it| {
                let resource = "local/requests".to_owned();
                let waiting = Waiting { step: 2, resource, ahead: 3, eta_s: None, since: None };
                it.asks("a", 1).happens("a", Event::StepWaiting(waiting))
            },
            (State::Queued, "coder", ASKS, Some("local/requests")),
        ),
    ];
    for (case, play, expected) in cases {
        check(case, play(&mut Stage::new()), *expected);
    }
}

#[test]
fn one_run_that_somebody_stopped() {
    type Play = fn(&mut Stage) -> &mut Stage;
    let cases: &[(&str, Play, Said<'_>)] = &[
        (
            "it is paused",
            |it| it.asks("a", 1).controls("a", Action::Pause),
            (State::Queued, "coder", ASKS, Some("paused by local")),
        ),
        (
            "it was paused before anybody began",
            |it| it.controls("a", Action::Pause),
            (State::Queued, "coder", None, Some("paused by local")),
        ),
        (
            "it goes on",
            |it| it.asks("a", 1).controls("a", Action::Pause).controls("a", Action::Resume),
            (State::Working, "coder", ASKS, None),
        ),
        (
            "it is cancelled and has not ended yet, also where it was paused",
            |it| it.asks("a", 1).controls("a", Action::Pause).controls("a", Action::Cancel),
            (State::Queued, "coder", ASKS, Some("its end, cancelled by local")),
        ),
        (
            "it asks a person, also while it is paused",
            |it| it.asks("a", 1).wonders("a", "q_1", "approval").controls("a", Action::Pause),
            (State::InputRequired, "coder", ASKS, None),
        ),
        (
            "a step is in doubt",
            |it| it.asks("a", 1).wonders("a", "q_1", "rerun"),
            (State::Halted, "coder", ASKS, None),
        ),
        (
            "the question is answered",
            |it| {
                let closed = Event::QuestionClosed { question: "q_1".into(), answer: None };
                it.asks("a", 1).wonders("a", "q_1", "text").happens("a", closed)
            },
            (State::Working, "coder", ASKS, None),
        ),
    ];
    for (case, play, expected) in cases {
        check(case, play(&mut Stage::new()), *expected);
    }
}

#[test]
fn a_run_that_is_over_waits_for_nothing() {
    for (end_state, state) in [
        (EndState::Completed, State::Completed),
        (EndState::Partial, State::Partial),
        (EndState::Failed, State::Failed),
        (EndState::Cancelled, State::Cancelled),
    ] {
        let mut stage = Stage::new();
        stage.asks("a", 1).wonders("a", "q_1", "text").controls("a", Action::Pause);
        stage.ends("a", end(end_state));
        check("over", &stage, (state, "coder", None, None));
        let view = stage.view("a");
        assert!(view.state.is_over() && view.questions.is_empty());
        assert!(view.stop.is_some());
    }
}

#[test]
fn a_transfer_gives_the_work_to_the_receiver() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hands("a", "b", "tester", Transfer);
    let seat = (State::Queued, "tester", None, Some("a seat"));
    check("the receiver waits for a seat", &stage, seat);
    stage.asks("b", 1);
    check("the receiver works", &stage, (State::Working, "tester", ASKS, None));
    stage.fails("b", 1, Some(SECOND));
    check("the receiver waits", &stage, (State::Queued, "tester", ASKS, BUSY));
    stage.asks("b", 2).hands("b", "c", "reviewer", Transfer).asks("c", 1);
    check("a chain of two", &stage, (State::Working, "reviewer", ASKS, None));
    stage.ends("c", done());
    check("nobody has acted on the end", &stage, (State::Working, "reviewer", ASKS, None));
    stage.ends("b", done()).ends("a", done());
    check("the last of the chain finished it", &stage, (State::Completed, "reviewer", None, None));
    assert_eq!(stage.view("b").agent.as_str(), "reviewer");
}

#[test]
fn a_failed_transfer_gives_the_work_back() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hands("a", "b", "tester", Transfer).asks("b", 1);
    stage.ends("b", end(EndState::Failed));
    check("the source has it again", &stage, (State::Working, "coder", ASKS, None));
    stage.hands("a", "c", "reviewer", Transfer).asks("c", 1);
    check("then another has it", &stage, (State::Working, "reviewer", ASKS, None));
    stage.ends("c", end(EndState::Failed)).asks("a", 1).ends("a", done());
    check("the source finished it", &stage, (State::Completed, "coder", None, None));
}

#[test]
fn delegated_work_stays_the_asking_agents() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hands("a", "b", "tester", Delegate).hands("a", "c", "reviewer", Delegate);
    check("both wait for a seat", &stage, (State::Queued, "coder", ASKS, Some("a seat")));
    stage.asks("b", 1);
    check("one works", &stage, (State::Working, "coder", ASKS, None));
    stage.fails("b", 1, Some(SECOND));
    check("one waits to try again", &stage, (State::Queued, "coder", ASKS, BUSY));
    stage.wonders("c", "q_1", "text");
    check("the other asks a person", &stage, (State::InputRequired, "reviewer", None, None));
    assert_eq!(stage.view("a").questions[0].id, "q_1");
    assert!(stage.view("b").questions.is_empty(), "a question is seen above, not beside");
    stage.ends("c", done()).asks("b", 1).ends("b", done());
    check("the asking agent goes on", &stage, (State::Working, "coder", ASKS, None));
}

#[test]
fn a_pause_below_holds_up_what_waits_for_it() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hands("a", "b", "tester", Transfer).asks("b", 1);
    stage.controls("b", Action::Pause);
    check("only the child", &stage, (State::Queued, "tester", ASKS, Some("paused by local")));
    stage.hands("a", "c", "reviewer", Delegate).asks("c", 1);
    check("another works on", &stage, (State::Working, "tester", ASKS, None));
    stage.controls("a", Action::Pause);
    check("the run itself", &stage, (State::Queued, "tester", ASKS, Some("paused by local")));
}

#[test]
fn a_receiver_that_is_not_in_the_journal_yet_changes_nothing() {
    let mut stage = Stage::new();
    stage.asks("a", 1).passes("a", "b", "tester", Transfer);
    check("no record of it", &stage, (State::Working, "coder", ASKS, None));
}
