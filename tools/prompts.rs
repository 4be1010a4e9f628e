//! What a client's user may start from: requests to the client's model, written out of the team.

use std::collections::BTreeMap;

use callboard_config::Team;
use callboard_scheduler::{Desk, Refusal, RefusalCode};
use callboard_trace::Caller;

use crate::check::Result;
use crate::nearest::{did_you_mean, quoted};
use crate::prompt::Prompt;
use crate::resource::Excerpted;
use crate::{delegate, new_agent, postmortem};

/// A prompt, filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it asks for.
    pub description: String,
    /// What the client's model is told.
    pub text: String,
    /// What goes with it.
    pub embedded: Vec<Excerpted>,
}

/// Runs named to who leaves out which one is meant.
const NAMED: usize = 5;

/// The prompts of a team.
pub(crate) fn prompts(team: &Team) -> Vec<Prompt> {
    let name = &team.name;
    let prompt = |name, description, arguments| Prompt { name, description, arguments };
    vec![
        prompt(
            delegate::NAME,
            format!("How to split work over the team {name}, and when not to."),
            &delegate::ARGUMENTS,
        ),
        prompt(
            postmortem::NAME,
            "What went how and why in a run, and what to change in the team.".to_owned(),
            &postmortem::ARGUMENTS,
        ),
        prompt(
            new_agent::NAME,
            format!("Writes the file of another agent that fits the team {name}."),
            &new_agent::ARGUMENTS,
        ),
    ]
}

impl Told {
    /// Fills a prompt in.
    ///
    /// # Errors
    /// `invalid_input` for a prompt or an argument that there is not, with those there are;
    /// `not_found` for a run that is not the caller's; `engine_unavailable`.
    pub async fn of(
        desk: &Desk,
        name: &str,
        arguments: &BTreeMap<String, String>,
        caller: &Caller,
    ) -> Result<Told> {
        let team = desk.team();
        let all = prompts(&team);
        let Some(prompt) = all.into_iter().find(|it| it.name == name) else {
            let names = prompts(&team);
            let near = did_you_mean(name, names.iter().map(|it| it.name), "there are");
            return Err(wrong(format!("there is no prompt {}{near}", quoted(name))));
        };
        check(&prompt, arguments, team.limits.task_chars)?;
        let text = |name: &str| arguments.get(name).map(|it| it.trim()).filter(|it| !it.is_empty());
        let plain = |text: String| (text, Vec::new());
        let (told, embedded) = match (prompt.name, text("run"), text("goal")) {
            (postmortem::NAME, Some(run), _) => postmortem::told(desk, run, caller).await?,
            (new_agent::NAME, _, Some(goal)) => plain(new_agent::told(&team, goal)),
            (delegate::NAME, _, goal) => plain(delegate::told(&team, goal)),
            (_, _, _) => return Err(missing(desk, &prompt, caller).await),
        };
        Ok(Told { description: prompt.description, text: told, embedded })
    }
}

fn check(prompt: &Prompt, arguments: &BTreeMap<String, String>, most: usize) -> Result<()> {
    for (name, value) in arguments {
        let mut known = prompt.arguments.iter().map(|it| it.name);
        if !known.clone().any(|it| it == name) {
            let near = did_you_mean(name, known, "there is");
            let told = format!("{} is no argument of {}{near}", quoted(name), prompt.name);
            return Err(wrong(told));
        }
        if value.chars().count() > most {
            let first = known.find(|it| it == name).unwrap_or_default();
            return Err(wrong(format!("{first}: too long; write at most {most} characters")));
        }
    }
    Ok(())
}

/// What is missing, and where it is about runs, the ones there are.
async fn missing(desk: &Desk, prompt: &Prompt, caller: &Caller) -> Refusal {
    let needed = prompt.arguments.iter().find(|it| it.required);
    let (name, what) = needed.map_or(("", ""), |it| (it.name, it.description));
    let mut told = format!("{} needs {name}: {what}", prompt.name);
    if name == "run"
        && let Ok((runs, _)) = desk.recent("", caller).await
    {
        let recent: Vec<String> = runs.iter().take(NAMED).map(ToString::to_string).collect();
        match recent.as_slice() {
            [] => told.push_str("; there is none of yours yet"),
            some => told = format!("{told}; your last ones are {}", some.join(", ")),
        }
    }
    wrong(told)
}

fn wrong(message: String) -> Refusal {
    Refusal::new(RefusalCode::InvalidInput, message, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolset::tests::a_team;

    #[test]
    fn an_argument_that_there_is_not_is_told_the_nearest_one() {
        let all = prompts(&a_team(&["coder"]));
        let told = |nth: usize, name: &str, value: &str| {
            let arguments = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            check(&all[nth], &arguments, 10).map_err(|it| it.message)
        };
        assert_eq!(told(0, "goal", "x"), Ok(()));
        let near = "\"gaol\" is no argument of delegate; did you mean \"goal\"?";
        assert_eq!(told(0, "gaol", "x"), Err(near.to_owned()));
        let other = "\"agent\" is no argument of postmortem; there is run";
        assert_eq!(told(1, "agent", "x"), Err(other.to_owned()));
        let long = "goal: too long; write at most 10 characters";
        assert_eq!(told(2, "goal", "xxxxxxxxxxx"), Err(long.to_owned()));
    }
}
