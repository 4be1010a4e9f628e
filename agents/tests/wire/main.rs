//! The model client against a working model of a server, over real sockets.

#[path = "../../../tests/endpoint/mod.rs"]
mod endpoint;

mod ask;
mod cancel;
mod embed;
mod faults;
mod learned;
mod lessons;
mod replies;
mod responses;
mod stream;
