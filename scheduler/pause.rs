//! Pauses: after a failed step that is tried again, and between two looks at what others wrote.

use std::time::Duration;

use callboard_agents::Run;
use callboard_trace::FailureCode;

use crate::World;

/// Between two looks when nothing hints at news; half of it again at random.
pub(crate) const POLL: Duration = Duration::from_millis(1_000);

/// A pause with up to a half of it on top, so that processes do not look all at once.
pub(crate) fn jittered(world: &World, pause: Duration) -> Duration {
    let half = u64::try_from(pause.as_millis() / 2).unwrap_or_default();
    pause + Duration::from_millis(world.below(half + 1))
}

/// Whether the rules will try the same model again after one more failure of that kind.
pub(crate) fn has_tries(run: &Run, step: u32, code: FailureCode) -> bool {
    let fuses = run.started.fuses;
    if let Some(attempts) = run.judge_attempts(step) {
        return attempts + 1 < fuses.attempts;
    }
    run.asking.as_ref().is_some_and(|it| {
        if code == FailureCode::RateLimited {
            it.rate_limited + 1 < fuses.rate_limited
        } else {
            it.attempts + 1 < fuses.attempts
        }
    })
}

/// When a failed step may be tried again: as the other side asked, plus a fifth at random, or
/// after a random pause that grows.
pub(crate) fn retry_at(world: &World, run: &Run, step: u32, retry_after: Option<Duration>) -> i64 {
    let pause = match retry_after {
        Some(asked) => {
            let fifth = u64::try_from(asked.as_micros() / 5).unwrap_or_default();
            asked + Duration::from_micros(world.below(fifth + 1))
        }
        None => {
            let asking = run.asking.as_ref().map(|it| it.attempts + it.rate_limited);
            let attempt = run.judge_attempts(step).or(asking).map_or(1, |it| it + 1);
            callboard_agents::model::backoff(attempt, world.below(u64::MAX))
        }
    };
    world.now().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
}
