//! How many runs agents may create: under one root, in one workspace, and how fast.

use crate::db::Tx;
use crate::error::Result;
use crate::gates::Take;
use crate::gauge::Gauge;
use crate::known::Known;
use crate::submit::Entry;

/// The bounds on what agents create; all of them hold over all processes and restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The root that the new run is under.
    pub root: String,
    /// Runs created by agents under it, ever.
    pub tasks_per_root: u32,
    /// The workspace it belongs to.
    pub workspace: String,
    /// Open runs created by agents there.
    pub tasks_per_workspace: u32,
    /// Runs created under the root at a stretch.
    pub burst: u32,
    /// Runs created under it in ten seconds after that.
    pub rate: u32,
}

/// A fuse that forbids another run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blown {
    /// `tasks_per_root`, `tasks_per_workspace` or `spawn_rate`.
    pub fuse: &'static str,
    /// What the count would be.
    pub value: u64,
    /// What it may be.
    pub limit: u64,
    /// Seconds after which it may be asked again, if that is a matter of time.
    pub retry_after_s: Option<u64>,
}

impl Growth {
    fn under_root(&self) -> String {
        format!("created {}", self.root)
    }

    fn in_workspace(&self) -> String {
        format!("workspace {}", self.workspace)
    }

    fn rate(&self) -> Take {
        let per_second = f64::from(self.rate) / 10.0;
        let rate = crate::gates::Rate { capacity: f64::from(self.burst), per_second };
        Take {
            name: self.under_root(),
            units: 1.0,
            rate: Some(rate),
            width: Some(u32::MAX),
            breaker: None,
        }
    }

    /// The fuse that forbids it, if one does.
    pub(crate) fn forbids(
        &self,
        tx: &mut dyn Tx,
        known: &mut Known,
        at: i64,
    ) -> Result<Option<Blown>> {
        let under = known.gauge(tx, &self.under_root())?;
        let created = u64::try_from(under.used).unwrap_or_default();
        let counted = |fuse, value: u64, limit: u32| {
            let limit = u64::from(limit);
            (value >= limit).then_some(Blown { fuse, value: value + 1, limit, retry_after_s: None })
        };
        if let Some(blown) = counted("tasks_per_root", created, self.tasks_per_root) {
            return Ok(Some(blown));
        }
        let open = known.gauge(tx, &self.in_workspace())?.used;
        let open = u64::try_from(open).unwrap_or_default();
        if let Some(blown) = counted("tasks_per_workspace", open, self.tasks_per_workspace) {
            return Ok(Some(blown));
        }
        let until = if self.burst == 0 { Some(i64::MAX) } else { self.until(&under, at) };
        Ok(until.map(|until| {
            let wait = u64::try_from(until - at).unwrap_or_default().div_ceil(1_000_000);
            let limit = u64::from(self.burst);
            let retry_after_s = (self.rate > 0 && self.burst > 0).then_some(wait);
            Blown { fuse: "spawn_rate", value: limit + 1, limit, retry_after_s }
        }))
    }

    fn until(&self, under: &Gauge, at: i64) -> Option<i64> {
        under.holds(&self.rate(), at).map(|it| it.1.unwrap_or(at))
    }

    /// Counts a run that was created.
    pub(crate) fn count(
        &self,
        tx: &mut dyn Tx,
        known: &mut Known,
        new: &Entry,
        at: i64,
    ) -> Result<()> {
        let name = self.under_root();
        let mut under = known.gauge(tx, &name)?;
        under.take(&self.rate(), at);
        known.keep(tx, &name, under)?;
        let sql = "INSERT INTO hold(run, step, name) SELECT pos, 0, $2 FROM run WHERE id = $1
            ON CONFLICT DO NOTHING";
        let name = self.in_workspace();
        if tx.exec(sql, &[new.run().into(), (&name).into()])? > 0 {
            let mut open = known.gauge(tx, &name)?;
            open.used += 1;
            known.keep(tx, &name, open)?;
        }
        Ok(())
    }
}
