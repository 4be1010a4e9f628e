//! After how long a client gives up: asked before it is answered, and learnt when it did.

use std::time::Duration;

use callboard_trace::{Event, Fact};

use crate::clients::{Patience, name, stream};
use crate::desk::Desk;

/// The last records that a client's patience is folded from.
const RECORDS: u32 = 50;

impl Desk {
    /// After how long a client of that name gives a call up, if it ever did on this data.
    pub async fn gives_up_after(&self, client: &str) -> Option<Duration> {
        let name = name(client);
        let known = self.house.clients.get(&name);
        let known = match known {
            Some(known) => known,
            None => {
                let read = self.house.store.latest(&stream(&name), RECORDS).await;
                // A journal that cannot be read is told elsewhere; it is looked at again.
                let known = Patience::fold(&read.ok()?);
                self.house.clients.put(name, known);
                known
            }
        };
        let seconds = known?.now(self.house.world.now());
        Some(Duration::from_secs_f64(seconds))
    }

    /// A client gave a call up after so long, by its own words because the time was over. It is
    /// answered earlier from now on, also by other processes that it introduces itself to.
    pub async fn gave_up(&self, client: &str, after: Duration) {
        let name = name(client);
        // What others learnt before counts too.
        self.gives_up_after(client).await;
        let (known, now) = (self.house.clients.get(&name).flatten(), self.house.world.now());
        let Some(learnt) = Patience::learn(known, after.as_secs_f64(), now) else { return };
        self.house.clients.put(name.clone(), Some(learnt));
        let event = Event::LimitsLearned {
            resource: format!("client {name}"),
            limit: Some((learnt.after_s * 1_000.0).round() / 1_000.0),
            remaining: None,
            header: "the client gave a call up after so many seconds".to_owned(),
        };
        let fact = Fact::new(self.house.node.as_str(), event);
        if let Err(error) = self.house.store.note(stream(&name).as_str(), vec![fact]).await {
            tracing::debug!(%error, "what was learnt of a client is known here only");
        }
    }
}
