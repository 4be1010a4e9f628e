#!/usr/bin/env bash
# One PostgreSQL on a free loopback port, in a folder of its own. It obeys the lines of its input,
# each with one line of answer; at the end of its input, which comes also when the process at the
# other end is killed, the server is stopped and the folder is gone.
#
# usage: server.sh PASSWORD [SETTING=VALUE…]     says `ready PORT`, or why not
#
#   crash     stops it as a power cut would
#   start     starts it again on the same port
#   prove DIR from now on it speaks TLS, with `server.crt` and `server.key` of that folder
set -uo pipefail
shared="$(cd "${BASH_SOURCE[0]%/*}" && pwd)/postgres.sh"
cd /
. "$shared"
folder="$(own mktemp -d "${TMPDIR:-/tmp}/callboard-postgres.XXXXXX")" || exit 1
log="$folder/log"

# The order of texts is a language's where that can be had, as in most databases that are in use:
# nothing may depend on the order of bytes.
options=(--no-sync --encoding=UTF8 --locale=C --username=callboard --auth=scram-sha-256)
if own "$bin/initdb" --help | grep -q -- --icu-locale; then
    options+=(--locale-provider=icu --icu-locale=en-US)
fi
echo "$1" | own tee "$folder/password" >/dev/null
own "$bin/initdb" "${options[@]}" -D "$folder/data" --pwfile="$folder/password" \
    2>&1 </dev/null | own tee "$log" >/dev/null || fail "make its folder"
own tee -a "$folder/data/postgresql.conf" >/dev/null <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 32MB
fsync = on
CONF
# After a crash it would look at each file on its own.
own sed -i "s/^#recovery_init_sync_method.*/recovery_init_sync_method = syncfs/" "$folder/data/postgresql.conf"
[ $# -lt 2 ] || printf '%s\n' "${@:2}" | own tee -a "$folder/data/postgresql.conf" >/dev/null

prove() {
    local file
    for file in server.crt server.key; do
        own tee "$folder/data/$file" <"$1/$file" >/dev/null && own chmod 600 "$folder/data/$file" || return
    done
    echo "ssl = on" | own tee -a "$folder/data/postgresql.conf" >/dev/null
    own "$bin/pg_ctl" reload --silent -D "$folder/data" </dev/null
}

begin_on_a_free_port
echo "ready $port"

while IFS= read -r line; do
    case $line in
        crash) halt && echo down || echo "it cannot be stopped" ;;
        prove\ *) prove "${line#prove }" && echo proved || echo "it cannot prove itself" ;;
        start) begin && echo up || echo "it does not start: $(tail -n 3 "$log" | tr '\n' ' ')" ;;
        *) echo "no such order: $line" ;;
    esac
done
halt
rm -rf "$folder"
