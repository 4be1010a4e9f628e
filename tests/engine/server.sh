#!/usr/bin/env bash
# One PostgreSQL on a free loopback port, in a folder of its own. It obeys the lines of its input,
# each with one line of answer; at the end of its input, which comes also when the process at the
# other end is killed, the server is stopped and the folder is gone.
#
# usage: server.sh PASSWORD     says `ready PORT`, or why not
#
#   crash     stops it as a power cut would
#   start     starts it again on the same port
set -uo pipefail
cd /
# Whoever breaks off the tests ends our input; that is the signal to clear up.
trap '' INT TERM HUP
unset "${!PG@}"
export LC_ALL=C

bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)"
[ -x "$bin/initdb" ] || bin="$(pg_config --bindir 2>/dev/null)"
if [ ! -x "$bin/initdb" ] || [ ! -x "$bin/pg_ctl" ]; then
    echo "PostgreSQL is not installed: install it with \`apt-get install postgresql\`, or put its pg_config on the PATH"
    exit 1
fi

# The server refuses to be root.
as=()
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
fi
own() { "${as[@]}" "$@"; }

folder="$(own mktemp -d "${TMPDIR:-/tmp}/callboard-postgres.XXXXXX")" || exit 1
log="$folder/log"

begin() { own "$bin/pg_ctl" start --silent --wait --timeout 60 -D "$folder/data" -l "$log" >/dev/null 2>&1 </dev/null; }
halt() { own "$bin/pg_ctl" stop --silent --wait --mode immediate -D "$folder/data" >/dev/null 2>&1; }
fail() {
    echo "PostgreSQL did not $1: $(tail -n 3 "$log" 2>/dev/null | tr '\n' ' ')"
    halt
    rm -rf "$folder"
    exit 1
}

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

# Below the ports that are handed out to clients. It is taken by whoever binds it first.
for _ in {1..50}; do
    port=$((20000 + RANDOM % 10000))
    echo "port = $port" | own tee -a "$folder/data/postgresql.conf" >/dev/null
    begin && break
    grep -q 'Address already in use' "$log" || fail "start"
    port=
done
[ -n "$port" ] || fail "find a free port"
echo "ready $port"

while IFS= read -r line; do
    case $line in
        crash) halt && echo down || echo "it cannot be stopped" ;;
        start) begin && echo up || echo "it does not start: $(tail -n 3 "$log" | tr '\n' ' ')" ;;
        *) echo "no such order: $line" ;;
    esac
done
halt
rm -rf "$folder"
