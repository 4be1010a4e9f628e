//! A team whose `store` is PostgreSQL: what `doctor` tells of it, and that every command finds the same
//! runs there.
#![cfg(target_os = "linux")]
#![expect(clippy::panic, reason = "a test says why and fails")]

#[path = "database/checks.rs"]
mod checks;
#[path = "database/commands.rs"]
mod commands;
#[path = "database/outage.rs"]
mod outage;
#[path = "engine/server.rs"]
#[expect(dead_code, reason = "this test needs a part of it")]
mod server;
mod shell;
#[path = "database/standby.rs"]
mod standby;

use std::process::Command;

use server::{Database, Server};
use shell::{House, Said};

/// What no command may say: the password of the server.
const PASSWORD: &str = "not a secret";
/// The variable that the team's file names.
const VARIABLE: &str = "CALLBOARD_TEST_STORE";

/// The usual team, with its runs in a database.
struct Kept {
    house: House,
    url: String,
}

impl Kept {
    async fn on(server: &std::sync::Arc<Server>) -> (Kept, Database) {
        let database = server.database().await;
        (Kept::at(database.address()), database)
    }

    fn at(url: String) -> Kept {
        let house = House::new();
        let file = house.path("team/team.yaml");
        let text = std::fs::read_to_string(&file).expect("a file");
        house.write("team/team.yaml", &format!("{text}store: env:{VARIABLE}\n"));
        Kept { house, url }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.house.command(arguments);
        command.env(VARIABLE, &self.url);
        command
    }

    /// What a command says, which never holds the password.
    fn does(&self, arguments: &[&str]) -> Said {
        heard(self.command(arguments))
    }
}

fn heard(mut command: Command) -> Said {
    let said = Said::of(command.output().expect("it runs"));
    for text in [&said.out, &said.err] {
        let coded = PASSWORD.replace(' ', "%20");
        assert!(!text.contains(PASSWORD) && !text.contains(&coded), "{text}");
    }
    said
}
