# What every script that starts a PostgreSQL of its own begins with, to be read by it: `$bin` is where
# the programs are, `own` runs one as a user that the server takes; the rest does to the server in
# `$folder/data`, whose log is `$log`, what it says.

# Whoever breaks off the tests ends our input; that is the signal to clear up.
trap '' INT TERM HUP
unset "${!PG@}"
export LC_ALL=C

# The newest that Debian put beside each other, else the one on the PATH.
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

begin() { own "$bin/pg_ctl" start --silent --wait --timeout 60 -D "$folder/data" -l "$log" >/dev/null 2>&1 </dev/null; }
halt() { own "$bin/pg_ctl" stop --silent --wait --mode immediate -D "$folder/data" >/dev/null 2>&1; }
fail() {
    echo "PostgreSQL did not $1: $(tail -n 3 "$log" 2>/dev/null | tr '\n' ' ')"
    halt
    rm -rf "$folder"
    exit 1
}
# Sets `$port`. Below the ports that are handed out to clients; it is taken by whoever binds it first.
begin_on_a_free_port() {
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 10000))
        echo "port = $port" | own tee -a "$folder/data/postgresql.conf" >/dev/null
        begin && return
        grep -q 'Address already in use' "$log" || fail "start"
    done
    fail "find a free port"
}
