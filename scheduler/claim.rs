//! Who works here: runs are taken from the queue and set on their way, each in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use callboard_store::{StoreError, Wanted};
use callboard_trace::RunId;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::begin::PLAN;
use crate::drive::drive;
use crate::foresee::look_ahead;
use crate::house::{House, Wheel, failed};
use crate::pause::{POLL, jittered};
use crate::relay::{Relay, Taken, bounds};
use crate::told::Told;

/// Runs on their way from the queue to a task; more wait at who took them.
const RELAY: usize = 64;
/// At most one look into the queue in this time, and after one that found nothing.
const REST: Duration = Duration::from_millis(2);
const NOTHING: Duration = Duration::from_millis(5);
/// The same while all seats here are held: only who needs none could be taken then.
const FULL: Duration = Duration::from_millis(25);

/// Takes runs from the queue, or those of one root, and works on them.
pub(crate) fn claim(tasks: &mut JoinSet<()>, house: &Arc<House>, root: Option<RunId>) {
    let (to, from) = mpsc::channel(RELAY);
    let relay = Relay { to, root };
    if relay.root.is_none() {
        tasks.spawn(look_ahead(house.clone()));
    }
    tasks.spawn(set_on_their_way(house.clone(), relay.clone(), from));
    tasks.spawn(look(house.clone(), relay));
}

/// Drives what was taken. It waits for nothing else, so that a run begins as soon as it is ours.
async fn set_on_their_way(house: Arc<House>, relay: Relay, mut from: mpsc::Receiver<Taken>) {
    let mut drives = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => break,
            Some(taken) = from.recv() => set(&mut drives, &house, taken, &relay),
            Some(ended) = drives.join_next() => broken(ended),
        }
    }
    from.close();
    loop {
        tokio::select! {
            biased;
            // Who has begun a step says itself that it goes.
            Some(taken) = from.recv() => if taken.lease.begun.is_some() {
                set(&mut drives, &house, taken, &relay);
            },
            Some(ended) = drives.join_next() => broken(ended),
            else => return,
        }
    }
}

/// Sets one on its way.
fn set(drives: &mut JoinSet<()>, house: &Arc<House>, taken: Taken, relay: &Relay) {
    house.admission.claimed(1);
    let wheel = Wheel {
        is_seated: taken.lease.agent != PLAN,
        told: Arc::new(Told::new(taken.lease.seq)),
        lost: CancellationToken::new(),
    };
    house.driven.add(&taken.lease.run, wheel.clone());
    drives.spawn(drive(house.clone(), taken, wheel, relay.clone()));
}

/// Looks into the queue whenever there may be runs and seats are free. Most are taken with the write
/// that makes room for them, or begins them; what is left over is found here.
async fn look(house: Arc<House>, relay: Relay) {
    while !house.draining.is_cancelled() {
        let (changed, looked) = (house.store.changed(), tokio::time::Instant::now());
        let left = house.heirs.seats(house.world.now(), None);
        let (most, seats) = bounds(&house, house.driven.seated(), left);
        let all = house.crew.team().limits.concurrent;
        let (own, root) = (house.admission.own(), relay.root.clone());
        let wanted = Wanted { max: most, seats, own, root, ..Wanted::default() };
        let mut rest = REST;
        match house.store.claim_or_press(wanted, all).await {
            Ok((leases, press)) => {
                if leases.is_empty() {
                    rest = NOTHING;
                }
                // So others give theirs up between two steps.
                house.pressing.set(press.first, press.over);
                relay.send(&house, leases).await;
            }
            Err(StoreError::Closed) => return,
            Err(error) => {
                failed(&error, "could not look into the queue");
                house.stray.notify_one();
            }
        }
        tokio::select! {
            biased;
            () = house.draining.cancelled() => return,
            () = house.ready.notified() => (),
            () = changed => (),
            () = tokio::time::sleep(jittered(&house.world, POLL)) => (),
        }
        while is_full(&house) && looked.elapsed() < FULL {
            tokio::select! {
                () = house.ready.notified() => (),
                () = tokio::time::sleep_until(looked + FULL) => (),
            }
        }
        tokio::time::sleep_until(looked + rest).await;
    }
}

fn is_full(house: &House) -> bool {
    let seats = house.admission.share(house.crew.team().limits.concurrent);
    house.driven.seated() >= seats as usize
}

/// A drive that panicked met a broken invariant. Its run is dropped and goes on from its journal
/// when the next heartbeat gives it back; the others are not disturbed.
fn broken(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a run met a fault of the program and was dropped");
    }
}
