//! Answering what a run asks a person.

use std::collections::BTreeMap;

use callboard_trace::{Caller, Event, Fact, Question, RunId, RunView};

use crate::desk::{Desk, sees};
use crate::refusal::Result;
use crate::{Refusal, RefusalCode};

impl Desk {
    /// Answers open questions of a run and of everything under it, all of them or none.
    ///
    /// # Errors
    /// `not_found`; `conflict` for a question that is not open; `invalid_input` for an answer that
    /// is not among the options; `engine_unavailable`.
    pub async fn answer(
        &self,
        run: &RunId,
        answers: &BTreeMap<String, String>,
        caller: &Caller,
    ) -> Result<RunView> {
        let row = self.row(run, caller).await?;
        let mut open = self.asked_below(&row).await?;
        // One that is too late is closed by its run as soon as that looks at it.
        let now = self.house.world.now();
        open.retain(|it| it.1.expires.is_none_or(|at| at > now));
        let asked = asked(&open, answers, &|it| self.may_answer(it, caller))?;
        for (asking, question, answer) in asked {
            let facts = facts(caller, question, &answer);
            if self.house.store.signal(&asking, facts, false).await?.is_none() {
                let message = format!("{asking} ended before its answer came");
                let hint = "`team_status` shows how it stands";
                return Err(Refusal::new(RefusalCode::Conflict, message, hint));
            }
        }
        self.house.ready.notify_one();
        self.view(run, caller).await
    }

    /// Whether the question is one that this caller may answer: leave is the owner's to give, unless
    /// the team says otherwise.
    pub fn may_answer(&self, question: &Question, caller: &Caller) -> bool {
        question.kind != "approval" || sees(caller).is_none() || self.team().approvals.by_callers
    }
}

/// Each answer with the run that asked; every problem at once.
fn asked<'a>(
    open: &'a [(RunId, Question)],
    answers: &BTreeMap<String, String>,
    may: &dyn Fn(&Question) -> bool,
) -> Result<Vec<(RunId, &'a Question, String)>> {
    let open: BTreeMap<_, _> = open.iter().map(|(run, it)| (&it.id, (run, it))).collect();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut code = RefusalCode::InvalidInput;
    for (id, answer) in answers {
        match open.get(id) {
            Some((_, question)) if !may(question) => problems.push(format!(
                "answers.{id}: leave is the owner's to give: on the machine itself (a client on stdio, \
                 `callboard answer`) or with a token of the scope `admin`"
            )),
            Some((_, question)) if !fits(question, answer) => problems.push(format!(
                "answers.{id}: \"{answer}\" is no option; write one of {}",
                question.options.join(", ")
            )),
            Some(_) if answer.trim().is_empty() => {
                problems.push(format!("answers.{id}: empty; write the answer"));
            }
            Some((asking, question)) => found.push(((*asking).clone(), *question, answer.clone())),
            None => {
                code = RefusalCode::Conflict;
                problems.push(format!("answers.{id}: this question is not open"));
            }
        }
    }
    if problems.is_empty() {
        return Ok(found);
    }
    let message = "the answers do not fit the questions";
    let hint = "nothing was answered; `team_status` with this run shows its open questions";
    Err(Refusal { problems, ..Refusal::new(code, message, hint) })
}

/// Whether an answer may be given; who is asked to do something may decline in words of its own.
fn fits(question: &Question, answer: &str) -> bool {
    let declines = question.kind == "choice" && callboard_agents::declines(answer).is_some();
    question.takes(answer) || declines
}

/// The question is closed, and what was in doubt is decided, in one write.
fn facts(caller: &Caller, question: &Question, answer: &str) -> Vec<Fact> {
    let by = caller.principal.as_str();
    let closed =
        Event::QuestionClosed { question: question.id.clone(), answer: Some(answer.to_string()) };
    let in_doubt = question.kind == "rerun";
    let step = question.id.rsplit('_').next().filter(|_| in_doubt).and_then(|it| it.parse().ok());
    let decided = step.map(|step| Event::StepDecided { step, decision: answer.to_string() });
    [Some(closed), decided].into_iter().flatten().map(|it| Fact::new(by, it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_a_step_in_doubt_decides_a_step() {
        let (text, transport) = (String::new(), "test".to_string());
        let caller =
            Caller { principal: "ann".into(), client: text.clone(), version: text, transport };
        let asked = |kind: &str| Question {
            id: "q_a_7".into(),
            kind: kind.into(),
            prompt: "what now?".into(),
            options: Vec::new(),
            expires_s: None,
            expires: None,
        };
        let kinds = |kind: &str| {
            let facts = facts(&caller, &asked(kind), "rerun");
            facts.iter().map(|it| it.event.kind()).collect::<Vec<_>>()
        };
        assert_eq!(kinds("rerun"), ["question_closed", "step_decided"]);
        assert_eq!(kinds("text"), ["question_closed"]);
        assert_eq!(kinds("approval"), ["question_closed"]);
    }
}
