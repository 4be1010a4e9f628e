//! The built-in tools on real folders and a real loopback: good calls, bad ones, and floods.
#![cfg(unix)]

mod fetching;
mod floods;
mod paths;
mod reading;
mod searching;
mod writing;
mod yard;
