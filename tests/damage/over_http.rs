//! The built binary over HTTP, one damaged body after the other.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::house::Server;
use crate::mutate::{damaged, spoil};
use crate::oracle::{Owed, owed, settle};
use crate::seeds::seeds;
use crate::wire::{MODERN, Reply, Request, Wire};

/// A client that sends damaged bodies.
pub(crate) struct Client<'a> {
    server: &'a Server,
    wire: Wire,
    session: String,
}

impl Client<'_> {
    pub(crate) fn of(server: &Server) -> Client<'_> {
        Client { server, wire: server.open(), session: server.session() }
    }

    /// Sends the damaged message of this number, which is answered as often as it is owed.
    pub(crate) fn send(&mut self, number: u64) {
        let (request, body) = self.request(number);
        if !self.wire.write(&request.bytes()) {
            panic!("{number}: the connection was closed before it");
        }
        let Some(reply) = self.wire.next() else {
            panic!("{number}: no answer to {}", String::from_utf8_lossy(&body));
        };
        if let Err(told) = settled(&owed(&body, false), &reply) {
            let shown = String::from_utf8_lossy(&body);
            panic!("{number}: {told}\n{shown}\n{} {}", reply.status, reply.text());
        }
        if reply.header("connection") == Some("close") {
            self.wire = self.server.open();
        }
    }

    /// Sends a request whose very bytes are damaged, on a connection of its own. Whatever that is
    /// now, what comes back is HTTP, and ends.
    pub(crate) fn spoil(&self, number: u64) {
        let mut dice = Dice::new(number);
        let id = json!(1_000_000 + number);
        let request = match dice.below(3) {
            0 => Request::older(&self.session, id, "tools/list", json!({})),
            1 => Request::call(id, "team_status", json!({})),
            _ => Request::new("DELETE", "/mcp").and("Origin", "http://localhost"),
        };
        let mut bytes = request.bytes();
        spoil(&mut bytes, &mut dice);
        let mut wire = self.server.open();
        wire.write(&bytes);
        wire.ends();
        let n_answers = std::iter::from_fn(|| wire.next()).count();
        assert!(n_answers < 20, "{number}: {n_answers} answers");
    }

    /// A good request is answered still.
    pub(crate) fn is_well(&mut self) {
        self.server.is_well();
        let ping = Request::older(&self.session, "well", "ping", json!({}));
        assert_eq!(self.server.ask(&ping).answer()["result"], json!({}));
    }

    fn request(&self, number: u64) -> (Request, Vec<u8>) {
        let mut dice = Dice::new(number);
        let modern = dice.below(2) == 0;
        let id = json!(1_000_000 + number);
        let seed = dice.one(&seeds(&id, modern)).clone();
        let body = damaged(&seed, &mut dice);
        let request = Request::post(body.clone());
        if !modern {
            return (request.and("Mcp-Session-Id", &self.session), body);
        }
        // Half of the time the headers follow the damage, so that it gets further in.
        let read: Option<Value> = serde_json::from_slice(&body).ok().filter(|_| dice.below(2) == 0);
        let read = read.unwrap_or(seed);
        let request = request.and("MCP-Protocol-Version", MODERN);
        let named = [("Mcp-Method", &read["method"]), ("Mcp-Name", &read["params"]["name"])];
        let request = named.iter().fold(request, |request, (header, value)| {
            let value = value.as_str().filter(|it| it.bytes().all(|it| it.is_ascii_graphic()));
            value.iter().fold(request, |request, value| request.and(header, value))
        });
        (request, body)
    }
}

fn settled(owed: &Owed, reply: &Reply) -> Result<(), String> {
    let came: Vec<Value> =
        reply.messages().into_iter().filter(|it| it.get("method").is_none()).collect();
    let fits = match owed {
        // Over HTTP something always comes back; it is no answer of the protocol.
        Owed::Nothing => return is_nothing(reply.status, &came),
        Owed::Answer(_) => matches!(reply.status, 200 | 400..=499 | 503),
        Owed::Refusal => matches!(reply.status, 400..=499),
    };
    if !fits {
        return Err(format!("{} does not fit", reply.status));
    }
    settle(std::slice::from_ref(owed), came)
}

fn is_nothing(status: u16, came: &[Value]) -> Result<(), String> {
    match (status, came) {
        (202, []) => Ok(()),
        (400..=499, came) if came.iter().all(|it| it["id"].is_null()) => Ok(()),
        _ => Err("nothing is owed".to_owned()),
    }
}
