//! What each outcome of a step spent, in the place of what it had set aside.

use callboard_trace::{Failure, FailureCode, ModelReplied, Spend, Totals};

use crate::Run;

/// What a reply cost.
pub(crate) fn of_reply(reply: &ModelReplied) -> Spend {
    Spend {
        tokens: reply.usage.input.saturating_add(reply.usage.output),
        micro_usd: reply.micro_usd.unwrap_or_default(),
        ms: reply.ms,
        model_calls: 1,
        ..Spend::default()
    }
}

/// What it adds to what a run used; a person's word has no price.
pub(crate) fn totals(reply: &ModelReplied, is_human: bool) -> Totals {
    let used = reply.usage.input.saturating_add(reply.usage.output);
    let micro_usd = reply.micro_usd.unwrap_or_default();
    let unpriced = u64::from(reply.micro_usd.is_none() && !is_human);
    Totals { tokens: used, replies: 1, handoffs: 0, micro_usd, unpriced }
}

/// What an attempt without an outcome cost. Where the other side may have worked on it, nobody
/// knows: what was set aside stands.
pub(crate) fn of_failure(reserved: Spend, failure: &Failure) -> Spend {
    let calls = Spend {
        model_calls: reserved.model_calls,
        tool_calls: reserved.tool_calls,
        ..Spend::default()
    };
    let may_have_worked = matches!(
        failure.code,
        FailureCode::Timeout
            | FailureCode::BadReply
            | FailureCode::InDoubt
            | FailureCode::Cancelled
            | FailureCode::Budget
    );
    let spent = match may_have_worked {
        true => reserved,
        // Rate control is no attempt.
        false if failure.code == FailureCode::RateLimited => Spend::default(),
        false => calls,
    };
    Spend { ms: failure.ms, ..spent }
}

impl Run {
    /// Puts what was spent in the place of what had been set aside.
    pub(crate) fn settle(&mut self, reserved: Spend, spent: Spend) {
        self.spent = self.spent.less(reserved).and(spent);
    }

    /// A tool answered. What the engine answered itself was no step.
    pub(crate) fn tool_spent(&mut self, step: u32, ms: u64, documents: &[String]) {
        let Some(tool) = self.tools.iter_mut().find(|it| it.step == step) else { return };
        let reserved = std::mem::take(&mut tool.reserved);
        let new = documents.iter().filter(|it| self.documents.insert((*it).clone())).count();
        let spent = Spend { ms, documents: new as u64, ..reserved };
        self.settle(reserved, spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_worked_on_stands() {
        let reserved = Spend { tokens: 500, micro_usd: 7, model_calls: 1, ..Spend::default() };
        let failure = |code| Failure {
            step: 1,
            attempt: 1,
            code,
            message: String::new(),
            retryable: true,
            retry_at: None,
            ms: 9,
            asked_again: 0,
        };
        let spent = |code| {
            let it = of_failure(reserved, &failure(code));
            (it.tokens, it.micro_usd, it.model_calls, it.ms)
        };
        assert_eq!(spent(FailureCode::InDoubt), (500, 7, 1, 9));
        assert_eq!(spent(FailureCode::Timeout), (500, 7, 1, 9));
        assert_eq!(spent(FailureCode::ModelUnavailable), (0, 0, 1, 9));
        assert_eq!(spent(FailureCode::RateLimited), (0, 0, 0, 9));
    }
}
