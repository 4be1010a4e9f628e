#!/usr/bin/env bash
# A PostgreSQL that follows the one on a port of this machine, in a folder of its own; PGPASSWORD lets
# it in. At the end of its input it is stopped and the folder is gone.
#
# usage: standby.sh PORT     says `ready PORT`, or why not
set -uo pipefail
cd /
trap '' INT TERM HUP
export LC_ALL=C

bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)"
[ -x "$bin/pg_basebackup" ] || bin="$(pg_config --bindir)"

# The server refuses to be root.
as=()
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
fi
own() { "${as[@]}" "$@"; }

folder="$(own mktemp -d "${TMPDIR:-/tmp}/callboard-standby.XXXXXX")" || exit 1
log="$folder/log"
begin() { own "$bin/pg_ctl" start --silent --wait --timeout 60 -D "$folder/data" -l "$log" >/dev/null 2>&1 </dev/null; }
finish() {
    own "$bin/pg_ctl" stop --silent --wait --mode immediate -D "$folder/data" >/dev/null 2>&1
    rm -rf "$folder"
}

own "$bin/pg_basebackup" -h 127.0.0.1 -p "$1" -U callboard -D "$folder/data" --write-recovery-conf \
    --checkpoint fast --no-sync 2>&1 </dev/null | own tee "$log" >/dev/null \
    || { echo "no copy of the primary: $(tail -n 3 "$log" | tr '\n' ' ')"; finish; exit 1; }
for _ in {1..50}; do
    port=$((20000 + RANDOM % 10000))
    echo "port = $port" | own tee -a "$folder/data/postgresql.conf" >/dev/null
    begin && break
    port=
done
[ -n "$port" ] || { echo "no start: $(tail -n 3 "$log" | tr '\n' ' ')"; finish; exit 1; }
echo "ready $port"
while IFS= read -r _; do :; done
finish
