//! Looks at the machine while runs are in progress here, and opens and shuts the admission.

use std::sync::Arc;
use std::time::Duration;

use callboard_trace::Fact;

use crate::house::House;
use crate::throttle::Gauge;

/// Between two looks at the machine while something is in progress here.
const LOOK: Duration = Duration::from_secs(1);

/// Until the process is to go. An idle node is not woken for it.
pub(crate) async fn watch_load(house: Arc<House>) {
    let (mut gauge, mut claimed) = (Gauge::default(), 0);
    loop {
        let before = std::mem::replace(&mut claimed, house.admission.so_far());
        let is_idle = before == claimed && house.driven.all().is_empty();
        let throttle = house.crew.team().throttle.filter(|_| !is_idle);
        let change = match &throttle {
            Some(throttle) => gauge.take(throttle, (house.world.load)()),
            None => gauge.rest(),
        };
        house.admission.shut(gauge.is_shut);
        if let Some(event) = change {
            house.ready.notify_one();
            let fact = Fact::new(house.node.as_str(), event);
            if let Err(error) = house.store.note(&house.node, vec![fact]).await {
                tracing::warn!(%error, "could not write that the admission changed");
            }
        }
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            () = house.admission.more(), if throttle.is_none() => (),
            () = tokio::time::sleep(LOOK), if throttle.is_some() => (),
        }
    }
}
