//! A question of the scheduler's own to a model, beside all runs: asked once, and written down with
//! what it cost on a line of the workspace's own.

use std::time::Duration;

use callboard_agents::model::{Fault, Request};
use callboard_config::{Model, Team};
use callboard_trace::{Event, Fact, FailureCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::house::House;
use crate::refusal::Stored;

/// What such a question is: what the model is told to do, and the data it is about.
pub(crate) fn plain(of: &str, model: &Model, most: u32, system: &str, about: &Value) -> Request {
    Request {
        agent: of.into(),
        turn: 1,
        attempt: 1,
        run: of.into(),
        task: of.into(),
        model: model.model.clone(),
        messages: vec![
            json!({"role": "system", "content": system}),
            json!({"role": "user", "content": about.to_string()}),
        ]
        .into(),
        max_output: model.max_output.min(most),
        ..Request::default()
    }
}

/// Asks it: what was read from the answer, or why there is nothing.
pub(crate) async fn question<T>(
    house: &House,
    (team, model): (&Team, &Model),
    patience: Duration,
    request: &Request,
    read: impl Fn(&str) -> Option<T>,
) -> Stored<Result<T, String>> {
    let models = house.crew.hands().models.clone();
    let answer = timeout(patience, models.ask(&model.provider, request)).await;
    let answer = answer.unwrap_or_else(|_| {
        let message = format!("no answer in {} s", patience.as_secs());
        Err(Fault::new(FailureCode::Timeout, true, message))
    });
    let (event, given) = match answer {
        Ok(reply) => {
            let given = read(&reply.text).ok_or_else(|| "its answer cannot be read".to_owned());
            let price = team.prices.of(&model.provider, &model.model);
            let name = format!("{}/{}", model.provider, model.model);
            (Event::ModelReplied(Box::new(reply.recorded(0, name, price))), given)
        }
        Err(fault) => {
            let why = fault.message.clone();
            (Event::StepFailed(fault.recorded(0, 1)), Err(why))
        }
    };
    let line = format!("{}_{}", request.agent, team.workspace);
    house.store.note(&line, vec![Fact::new(house.node.as_str(), event)]).await?;
    Ok(given)
}
