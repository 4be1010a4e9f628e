#!/usr/bin/env bash
# Five hosts on one switch, each a network namespace: n1, n2 and n3 for what the tests start there, and
# pg1 with a PostgreSQL that pg2 follows synchronously. Nothing of this machine's own network is
# touched. It obeys the lines of its input, each with one line of answer; at the end of its input, which
# comes also when the process at the other end is killed, everything is stopped and gone.
#
# usage: net.sh      says `ready NAMESPACES FOLDER`, `cannot` and why not, or what went wrong
#
#   cut HOST      takes the cable out
#   mend HOST     puts it in again
#   promote       makes the one that follows the primary
set -uo pipefail
cd /
# Whoever breaks off the tests ends our input; that is the signal to clear up.
trap '' INT TERM HUP
unset "${!PG@}"
export LC_ALL=C

name="callboard-$$"
hosts=(n1 n2 n3 pg1 pg2)

command -v ip >/dev/null || { echo "cannot: there is no \`ip\`; install iproute2"; exit 0; }
why="$(ip netns add "$name-switch" 2>&1)" || { echo "cannot: ${why//$'\n'/ }"; exit 0; }

bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)"
[ -x "$bin/initdb" ] || bin="$(pg_config --bindir 2>/dev/null)"
user=postgres
id "$user" >/dev/null 2>&1 || user=nobody
own() { setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@"; }
folder="$(own mktemp -d "${TMPDIR:-/tmp}/callboard-hosts.XXXXXX")"
log="$folder/log"

# A server, on its host.
on() { local host="$1"; shift; ip netns exec "$name-$host" setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@"; }
begin() { on "$1" "$bin/pg_ctl" start --silent --wait --timeout 60 -D "$folder/$1" -l "$log.$1" >>"$log" 2>&1 </dev/null; }
sql() { own "$bin/psql" -qAt -h "$folder/of-$1" -U callboard -d postgres -c "$2" 2>>"$log" </dev/null; }

clear_up() {
    for host in pg1 pg2; do
        [ -f "$folder/$host/postmaster.pid" ] &&
            own "$bin/pg_ctl" stop --silent --wait --mode immediate -D "$folder/$host" >/dev/null 2>&1
    done
    for host in "${hosts[@]}" switch; do
        # Nobody is in there who was not started for this.
        left="$(ip netns pids "$name-$host" 2>/dev/null)"
        [ -z "$left" ] || kill -KILL $left 2>/dev/null
        ip netns del "$name-$host" 2>/dev/null
    done
    rm -rf "$folder"
}
fail() {
    echo "it did not come to this: $1: $(tail -qn 3 "$log"* 2>/dev/null | tr '\n' ' ')"
    clear_up
    exit 1
}

lay_cables() {
    ip -n "$name-switch" link add switch type bridge && ip -n "$name-switch" link set switch up || return
    local number=0 host
    for host in "${hosts[@]}"; do
        number=$((number + 1))
        ip netns add "$name-$host" &&
            ip -n "$name-$host" link set lo up &&
            ip -n "$name-switch" link add "$host" type veth peer name eth0 netns "$name-$host" &&
            ip -n "$name-switch" link set "$host" master switch up &&
            ip -n "$name-$host" addr add "10.77.0.$number/24" dev eth0 &&
            ip -n "$name-$host" link set eth0 up || return
    done
}

settings() {
    cat <<CONF
listen_addresses = '10.77.0.$1'
unix_socket_directories = '$folder/of-$2'
cluster_name = '$2'
max_connections = 100
shared_buffers = 32MB
synchronous_commit = on
fsync = on
CONF
}

primary() {
    own mkdir "$folder/of-pg1" "$folder/of-pg2" &&
        own "$bin/initdb" --no-sync --encoding=UTF8 --locale=C --username=callboard --auth=trust \
            -D "$folder/pg1" >>"$log" 2>&1 </dev/null &&
        settings 4 pg1 | own tee -a "$folder/pg1/postgresql.conf" >/dev/null &&
        echo 'host all,replication all 10.77.0.0/24 trust' | own tee -a "$folder/pg1/pg_hba.conf" >/dev/null &&
        begin pg1 && sql pg1 'CREATE DATABASE callboard'
}

# The primary is told to wait for it only once it is there: what it copied does not say so, and it
# waits for nobody when it is the primary itself.
standby() {
    on pg2 "$bin/pg_basebackup" -h 10.77.0.4 -U callboard -D "$folder/pg2" -R -c fast --no-sync >>"$log" 2>&1 </dev/null &&
        settings 5 pg2 | own tee -a "$folder/pg2/postgresql.conf" >/dev/null &&
        begin pg2 &&
        sql pg1 "ALTER SYSTEM SET synchronous_standby_names = 'pg2'" &&
        sql pg1 'SELECT pg_reload_conf()' >/dev/null || return
    for _ in {1..100}; do
        [ "$(sql pg1 'SELECT sync_state FROM pg_stat_replication')" = sync ] && return
        sleep 0.1
    done
    return 1
}

promote() { on pg2 "$bin/pg_ctl" promote --wait --timeout 60 -D "$folder/pg2" >>"$log" 2>&1 </dev/null; }

own touch "$log" && chmod a+rw "$log" || fail "a folder"
[ -x "$bin/initdb" ] || fail 'PostgreSQL is there: install it with `apt-get install postgresql`'
lay_cables 2>>"$log" || fail "cables"
primary || fail "a primary"
standby || fail "a standby that follows"
echo "ready $name $folder"

while read -r order host; do
    case $order in
        cut) ip -n "$name-switch" link set "$host" down && echo done || echo "the cable stays" ;;
        mend) ip -n "$name-switch" link set "$host" up && echo done || echo "the cable is out" ;;
        promote) promote && echo done || echo "it is no primary: $(tail -qn 3 "$log"* | tr '\n' ' ')" ;;
        *) echo "no such order: $order" ;;
    esac
done
clear_up
