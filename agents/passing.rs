//! How passed-on work changes a run: whom it went to, and what became of it there.

use callboard_trace::{Event, Handoff};

use crate::run::{Child, Run};
use crate::slots::shown;

impl Run {
    pub(crate) fn child_ended(&mut self, event: &Event) {
        let Event::ChildEnded { child, end, totals, taint, slots, circle, .. } = event else {
            return;
        };
        self.slots.told(slots);
        self.totals = self.totals.and(*totals);
        if self.plan.as_mut().is_some_and(|it| it.ended(child, end, taint.as_ref())) {
            return;
        }
        if let Some(found) = self.children.iter_mut().find(|it| it.handoff.run == *child) {
            (found.end, found.taint) = (Some((**end).clone()), taint.clone());
            found.noted = slots.0.iter().map(|it| shown(it, &slots.0)).collect();
            if !circle.is_empty() {
                let (call, to) = (found.handoff.call.clone(), found.handoff.target.clone());
                let by = self.key_of(call.as_deref()).ok_or(to);
                self.loops.failed(by, circle, self.turns);
            }
        }
    }

    pub(crate) fn handed_off(&mut self, handoff: &Handoff) {
        if let (Some(plan), Some(step)) = (&mut self.plan, &handoff.step) {
            return plan.began(step, &handoff.run);
        }
        self.totals.handoffs += 1;
        if let Some(key) = self.key_of(handoff.call.as_deref()) {
            self.loops.did(&key);
        }
        self.tally.refused_creations = 0;
        self.tally.bad_turns = 0;
        self.control.redirect = None;
        self.children.push(Child {
            handoff: handoff.clone(),
            end: None,
            taint: None,
            refused: None,
            settled: false,
            noted: Vec::new(),
        });
    }

    pub(crate) fn handoff_failed(&mut self, handoff: &str) {
        self.tally.failed_handoffs += 1;
        if let Some(child) = self.child(handoff) {
            child.settled = true;
        }
    }

    pub(crate) fn child(&mut self, handoff: &str) -> Option<&mut Child> {
        self.children.iter_mut().find(|it| it.handoff.id == handoff)
    }
}
