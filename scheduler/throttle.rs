//! Nothing new begins here while the machine is busy with something else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use callboard_config::policy::Throttle;
use callboard_trace::Event;
use tokio::sync::Notify;

/// Looks that are averaged at most.
const LOOKS_MAX: u64 = 3_600;

/// Whether this node may claim, shared by the claimer and by who looks at the machine.
#[derive(Default)]
pub(crate) struct Admission {
    is_shut: AtomicBool,
    /// Runs under way here at once; 0 = as many as there are seats.
    most: AtomicU32,
    /// Runs claimed here so far.
    claimed: AtomicU64,
    /// Rings when there is something in progress again.
    bell: Notify,
}

impl Admission {
    /// So many were claimed: as long as any is in progress the machine is looked at.
    pub(crate) fn claimed(&self, count: usize) {
        if count > 0 {
            self.claimed.fetch_add(count as u64, Ordering::Relaxed);
            self.bell.notify_one();
        }
    }

    /// How many may be claimed, within how many seats. While it is shut: one if none is in progress
    /// here, so that the team never stands still, and else only urgent ones, which need no seat. The
    /// same where as many are in progress as may be here.
    pub(crate) fn bounds(&self, free: u32, seats: u32, in_progress: usize) -> (u32, u32) {
        let most = self.share(seats);
        let left = most.saturating_sub(u32::try_from(in_progress).unwrap_or(u32::MAX));
        match (self.is_shut.load(Ordering::Relaxed), in_progress) {
            (false, _) if left == 0 && most < seats => (free, 0),
            (false, _) => (free.min(left.max(1)), seats),
            (true, 0) => (1, seats),
            (true, _) => (free, 0),
        }
    }

    /// How many of the seats may be taken here.
    pub(crate) fn share(&self, seats: u32) -> u32 {
        match self.most.load(Ordering::Relaxed) {
            0 => seats,
            most => most.min(seats),
        }
    }

    /// How many may be under way here at once, if fewer than there are seats.
    pub(crate) fn own(&self) -> Option<u32> {
        Some(self.most.load(Ordering::Relaxed)).filter(|it| *it > 0)
    }

    /// No more are under way here at once.
    pub(crate) fn at_once(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Opens it or shuts it.
    pub(crate) fn shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::Relaxed);
    }

    /// How many were claimed so far.
    pub(crate) fn so_far(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Resolves when some were claimed since it last did.
    pub(crate) async fn more(&self) {
        self.bell.notified().await;
    }
}

/// What the looks add up to.
#[derive(Default)]
pub(crate) struct Gauge {
    /// Ticks that others used and all ticks, a look each.
    looks: VecDeque<(u64, u64)>,
    pub(crate) is_shut: bool,
    /// The load could not be read, and that was said.
    is_blind: bool,
}

impl Gauge {
    /// Takes one look in; answers with what changed.
    pub(crate) fn take(&mut self, throttle: &Throttle, look: Option<(u64, u64)>) -> Option<Event> {
        let Some(look) = look else {
            (self.is_shut, self.looks) = (false, VecDeque::new());
            let is_news = !std::mem::replace(&mut self.is_blind, true);
            let reason = "the load of this machine cannot be read, so nothing is held back";
            return is_news.then(|| changed(true, 0.0, reason.to_owned()));
        };
        self.is_blind = false;
        self.looks.push_back(look);
        let load_pct = self.load_pct(throttle.window_s)?;
        let Throttle { high, low, .. } = throttle;
        let is_shut = if self.is_shut { load_pct >= *low } else { load_pct > *high };
        if is_shut == std::mem::replace(&mut self.is_shut, is_shut) {
            return None;
        }
        let reason = match is_shut {
            true => format!(
                "the machine, {load_pct:.0} % of which is busy with something else; below {low} % it goes on"
            ),
            false => format!("below {low} % of the machine is busy with something else"),
        };
        Some(changed(!is_shut, load_pct, reason))
    }

    /// Nothing is in progress, or nothing is to be held back.
    pub(crate) fn rest(&mut self) -> Option<Event> {
        self.looks.clear();
        let was_shut = std::mem::take(&mut self.is_shut);
        was_shut.then(|| changed(true, 0.0, "nothing is in progress here".to_owned()))
    }

    /// The average of the window, once there are looks enough.
    fn load_pct(&mut self, window_s: u64) -> Option<f64> {
        let most = window_s.clamp(1, LOOKS_MAX) + 1;
        while self.looks.len() as u64 > most {
            self.looks.pop_front();
        }
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        let all = last.1.checked_sub(first.1).filter(|it| *it > 0)?;
        let others = last.0.saturating_sub(first.0).min(all);
        (self.looks.len() as u64 == most).then_some(others as f64 / all as f64 * 100.0)
    }
}

fn changed(open: bool, load_pct: f64, reason: String) -> Event {
    Event::AdmissionChanged { open, load_pct: (load_pct * 10.0).round() / 10.0, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROTTLE: Throttle = Throttle { high: 80.0, low: 70.0, window_s: 2 };

    /// What changed at each look of a machine with 100 ticks a look, so many of them for others.
    fn changes(gauge: &mut Gauge, throttle: &Throttle, loads: &[Option<u64>]) -> String {
        let mut ticks = gauge.looks.back().copied().unwrap_or((5_000, 9_000));
        let mut look = |load: &Option<u64>| {
            if let Some(load) = load {
                ticks = (ticks.0 + load, ticks.1 + 100);
            }
            match gauge.take(throttle, load.map(|_| ticks)) {
                None => "-".to_owned(),
                Some(Event::AdmissionChanged { open, load_pct, .. }) => {
                    format!("{}{load_pct}", if open { "open" } else { "shut" })
                }
                Some(other) => panic!("{other:?}"),
            }
        };
        loads.iter().map(&mut look).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_process_takes_no_more_than_it_may() {
        let admission = Admission::default();
        assert_eq!(admission.bounds(50, 50, 0), (50, 50));
        assert_eq!(admission.bounds(1, 50, 50), (1, 50));
        admission.at_once(16);
        assert_eq!(admission.bounds(50, 50, 0), (16, 50));
        assert_eq!(admission.bounds(40, 50, 10), (6, 50));
        assert_eq!(admission.bounds(34, 50, 16), (34, 0), "only who needs no seat");
        admission.at_once(80);
        assert_eq!(admission.bounds(50, 50, 0), (50, 50));
        assert_eq!(admission.bounds(1, 50, 50), (1, 50));
    }

    #[test]
    fn it_shuts_above_the_high_mark_and_opens_below_the_low_one() {
        let cases: [(&[u64], &str); 7] = [
            (&[0, 100, 100], "- - shut100"),
            (&[0, 80, 80, 80], "- - - -"),
            (&[0, 80, 82], "- - shut81"),
            // One look above the mark is no average above it.
            (&[0, 50, 100, 50, 100, 50], "- - - - - -"),
            (&[0, 90, 90, 75, 70, 70, 70], "- - shut90 - - - -"),
            (&[0, 90, 90, 75, 70, 69, 69], "- - shut90 - - open69.5 -"),
            (&[0, 90, 90, 0, 100, 100, 0], "- - shut90 open45 - shut100 open50"),
        ];
        for (loads, expected) in cases {
            let loads: Vec<Option<u64>> = loads.iter().copied().map(Some).collect();
            assert_eq!(changes(&mut Gauge::default(), &THROTTLE, &loads), expected, "{loads:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_opens_it_and_is_said_once() {
        let mut gauge = Gauge::default();
        let loads = [Some(0), Some(99), Some(99), None, None, Some(99), Some(99), Some(99), None];
        assert_eq!(changes(&mut gauge, &THROTTLE, &loads), "- - shut99 open0 - - - shut99 open0");
        assert_eq!(changes(&mut Gauge::default(), &THROTTLE, &[None, None]), "open0 -");
    }

    #[test]
    fn a_rest_opens_it_and_forgets_what_was_seen() {
        let mut gauge = Gauge::default();
        assert_eq!(gauge.rest(), None);
        assert_eq!(changes(&mut gauge, &THROTTLE, &[Some(0), Some(99), Some(99)]), "- - shut99");
        let Some(Event::AdmissionChanged { open: true, .. }) = gauge.rest() else {
            panic!("it opens")
        };
        assert_eq!(gauge.rest(), None);
        assert_eq!(changes(&mut gauge, &THROTTLE, &[Some(99), Some(99)]), "- -");
    }

    #[test]
    fn clocks_that_stand_still_or_run_back_say_nothing_and_windows_have_a_bound() {
        let mut gauge = Gauge::default();
        let looks = [(5, 9), (5, 9), (5, 9), (9, 9), (0, 0), (1, 3), (2, 6), (0, 9), (3, 12)];
        for look in looks {
            assert_eq!(gauge.take(&THROTTLE, Some(look)), None, "{look:?}");
        }
        let endless = Throttle { window_s: u64::MAX, ..THROTTLE };
        for nth in 0..LOOKS_MAX * 2 {
            assert_eq!(gauge.take(&endless, Some((0, nth))), None);
        }
        assert_eq!(gauge.looks.len() as u64, LOOKS_MAX + 1);
    }

    #[test]
    fn while_it_is_shut_one_run_is_in_progress_and_urgent_ones_pass() {
        let admission = Admission::default();
        assert_eq!(admission.bounds(7, 50, 0), (7, 50));
        assert_eq!(admission.bounds(7, 50, 43), (7, 50));
        admission.shut(true);
        assert_eq!(admission.bounds(50, 50, 0), (1, 50));
        assert_eq!(admission.bounds(49, 50, 1), (49, 0), "no seat, so none but the urgent ones");
    }
}
