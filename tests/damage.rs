//! Good messages that were damaged on their way: each has exactly one answer, or none if it wants
//! none. Every case is a number, which a failure tells: `CALLBOARD_DAMAGE_FIRST=` starts there, and
//! `CALLBOARD_DAMAGE=` says how many there are.
#![expect(clippy::panic, reason = "a client of tests says what it missed and fails")]
#![cfg(unix)]

#[path = "damage/dice.rs"]
mod dice;
#[path = "http/house.rs"]
mod house;
#[path = "damage/mutate.rs"]
mod mutate;
#[path = "damage/oracle.rs"]
mod oracle;
#[path = "damage/over_http.rs"]
mod over_http;
#[path = "damage/over_stdio.rs"]
mod over_stdio;
#[path = "damage/seeds.rs"]
mod seeds;
#[path = "http/wire.rs"]
mod wire;

use std::thread;

use house::House;

/// Damaged messages, over both transports together.
const CASES: u64 = 10_000;
/// Lines that are sent at once.
const BATCH: usize = 100;
/// Clients at once.
const CLIENTS: u64 = 4;

/// The numbers of a part of the cases: each transport has its own.
fn numbers(which: u64, part: u64) -> Vec<u64> {
    let cases = told("CALLBOARD_DAMAGE").unwrap_or(CASES);
    let first = told("CALLBOARD_DAMAGE_FIRST").unwrap_or(which * cases);
    (first..first + cases.div_ceil(part)).collect()
}

#[expect(clippy::disallowed_methods, reason = "how much is tested is said from outside")]
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().expect("a number"))
}

fn house() -> House {
    House::new("limits: {wait_s: 1, wait_max_s: 1}\n")
}

#[test]
fn every_damaged_line_has_its_answer() {
    let house = house();
    let mut server = over_stdio::Server::start(&house);
    for batch in numbers(0, 2).chunks(BATCH) {
        server.batch(batch);
    }
    assert!(server.is_silent(), "an answer too many");
}

#[test]
fn every_damaged_body_has_its_answer() {
    let house = house();
    let server = house.serve();
    let numbers = numbers(1, 2);
    let shares = numbers.chunks(numbers.len().div_ceil(CLIENTS as usize));
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| {
                let mut client = over_http::Client::of(&server);
                for batch in share.chunks(BATCH) {
                    batch.iter().for_each(|it| client.send(*it));
                    client.is_well();
                }
            });
        }
    });
}

#[test]
fn after_a_damaged_head_the_connection_ends() {
    let house = house();
    let server = house.serve();
    let client = over_http::Client::of(&server);
    for number in numbers(2, 10) {
        client.spoil(number);
    }
    server.is_well();
}
