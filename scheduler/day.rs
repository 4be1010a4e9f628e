//! How far the budgets of tasks and of the workspace's day are used.

use callboard_config::budget::Caps;
use callboard_store::RunRow;
use callboard_store::gates::Amounts;

use crate::ask::{BudgetLine, UsedLine};
use crate::desk::Desk;
use crate::refusal::Result;
use crate::{Refusal, RefusalCode, purse};

impl Desk {
    /// What the workspace has spent today; `None` where its day has no limit.
    pub(crate) async fn today(&self) -> Result<Option<BudgetLine>> {
        let team = self.team();
        if team.budgets.day.is_unlimited() {
            return Ok(None);
        }
        let day = purse::day(&team.workspace, self.house.world.now());
        let used = self.house.store.spent(&day).await?;
        Ok(Some(BudgetLine { today: lines(&team.budgets.day, &used) }))
    }

    /// The refusal of new work while nothing is left of the day, of which so much is used.
    pub(crate) fn day_is_spent(&self, used: &Amounts) -> Option<Refusal> {
        let team = self.team();
        let spent = lines(&team.budgets.day, used).into_iter().find(|it| it.used >= it.limit);
        spent.map(|UsedLine { of, used, limit }| {
            let minutes = purse::day_ends_in(self.house.world.now()) / 60_000_000 + 1;
            let (hours, minutes) = (minutes / 60, minutes % 60);
            Refusal::new(
                RefusalCode::OverCapacity,
                format!("the day's budget is spent: {used} of {limit} {of}"),
                format!(
                    "it begins anew at 00:00 UTC, in {hours} h {minutes} min; or raise `budgets.day` \
                     in team.yaml"
                ),
            )
        })
    }
}

fn lines(limits: &Caps, used: &Amounts) -> Vec<UsedLine> {
    let lines = purse::shares(limits, used).into_iter();
    lines.map(|(of, used, limit)| UsedLine { of, used, limit }).collect()
}

/// Per cent of its budget that a root has used, of the dimension that is used most.
pub(crate) fn used_of_task(row: &RunRow, caps: Option<Caps>, used: &Amounts) -> Option<f64> {
    let caps = caps.filter(|it| row.run == row.root && !it.is_unlimited())?;
    let shares = purse::shares(&caps, used);
    let pct = |(_, used, limit): &(_, f64, f64)| used * 100.0 / limit;
    let most = shares.iter().filter(|it| it.2 > 0.0).map(pct).max_by(f64::total_cmp);
    most.map(|it| (it * 10.0).round() / 10.0)
}
