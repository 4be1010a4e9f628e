#!/usr/bin/env bash
# Runs a command beside a PostgreSQL that is there for as long as it runs; the stories of the command's
# tests are told there (CALLBOARD_TEST_SERVER, see tests/stage/mod.rs).
#
# usage: with_server.sh CMD…     such as `tests/engine/with_server.sh cargo test --test plans`
set -euo pipefail

password="only-for-stories"
# Stories are of processes that end, never of a machine: nobody waits for the disk.
coproc SERVER { exec bash "${BASH_SOURCE[0]%/*}/server.sh" "$password" fsync=off; }
# Closed at our end, which is its order to end, also where we are killed; it clears up by itself.
orders="${SERVER[1]}" server="$SERVER_PID"
end() {
    exec {orders}>&-
    wait "$server" || true
}
trap end EXIT

IFS= read -r said <&"${SERVER[0]}" || said="the server said nothing"
case $said in
    "ready "*) ;;
    *) echo "$said" >&2; exit 1 ;;
esac
export CALLBOARD_TEST_SERVER="postgres://callboard:$password@127.0.0.1:${said#ready }"
"$@" {orders}>&-
