//! The scope of a keeper: its signals reach what it started, all at once, and nothing else.

use std::marker::PhantomData;

use landlock::{
    ABI, Access, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope as Scoped,
};
use rustix::process::{Pid, Signal, getppid, kill_process_group, test_kill_process};

/// The oldest Landlock that can do all of it: Linux 6.12.
pub(crate) const LEAST: ABI = ABI::V6;

/// Says that signals of this thread reach no other process but those it starts from now on.
#[derive(Debug)]
pub struct Scope {
    abi: ABI,
    /// Whether it was seen: a process that could be reached before cannot be any more.
    is_seen: bool,
    /// It is true of one thread.
    _here: PhantomData<*const ()>,
}

impl Scope {
    /// Puts this thread, and what it starts from now on, into a scope of its own.
    ///
    /// # Errors
    /// Why this kernel cannot do it; then nothing has changed.
    pub fn enter() -> Result<Scope, String> {
        let reaches_parent = || getppid().is_some_and(|it| test_kill_process(it).is_ok());
        let before = reaches_parent();
        let entered = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .scope(Scoped::from_all(LEAST))
            .and_then(|it| it.create())
            // What `kill_all` does not reach is no news for the system's log.
            .and_then(|it| it.set_compatibility(CompatLevel::BestEffort).log_same_exec(false))
            .and_then(|it| it.restrict_self());
        match entered.map(|it| (it.ruleset, it.landlock)) {
            Ok((status, LandlockStatus::Available { effective_abi, .. }))
                if status != RulesetStatus::NotEnforced && effective_abi >= LEAST =>
            {
                let is_seen = before && !reaches_parent();
                Ok(Scope { abi: effective_abi, is_seen, _here: PhantomData })
            }
            Ok(_) | Err(_) => Err(String::from(
                "the kernel cannot keep programs in a sandbox: it takes Linux 6.12 or newer with \
                 Landlock switched on",
            )),
        }
    }

    /// The version of Landlock that is in force.
    pub(crate) fn abi(&self) -> ABI {
        self.abi
    }

    /// Kills every process of the scope but this one, in one step: none of them can get away by
    /// starting others. Does nothing where the scope was not seen to hold.
    pub fn kill_all(&self) {
        // As a group, the number 1 stands for every process that can be reached.
        if self.is_seen
            && let Some(all) = Pid::from_raw(1)
        {
            let _ = kill_process_group(all, Signal::KILL);
        }
    }
}
