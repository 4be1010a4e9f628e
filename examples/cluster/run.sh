#!/usr/bin/env bash
# A cluster on this machine: PostgreSQL with a synchronous standby, two fronts, three workers, one of
# which is killed in the middle of a plan. No container, no key, no network.
#
#   run.sh           plays it and ends; exit code 0: all that the README claims has held
#   run.sh --apart   gives each worker a data folder of its own, as on machines of their own: it takes
#                    30 s of silence until the others know that one is dead
#   run.sh --keep    plays it and leaves it up until Ctrl-C
#
# CALLBOARD names the program, if it is not on the PATH.
set -Eeuo pipefail
cd "$(dirname "$0")"
readonly team="$PWD" callboard="${CALLBOARD:-callboard}" n_parts=12
unset "${!PG@}"
export LC_ALL=C

fail() {
    echo "$*" >&2
    exit 1
}
keep= apart=
for word; do
    case $word in
    --keep) keep=yes ;;
    --apart) apart=yes ;;
    *) fail "there is no option $word: run.sh [--apart] [--keep]" ;;
    esac
done
command -v "$callboard" >/dev/null || fail "callboard is not on the PATH: install it, or name it with CALLBOARD=..."
command -v curl >/dev/null || fail "curl is missing: install it with your system's packages"
bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)"
[ -x "$bin/initdb" ] || bin="$(pg_config --bindir 2>/dev/null)" || true
[ -x "$bin/initdb" ] || fail "PostgreSQL is not installed: install it with \`apt-get install postgresql\`, or put its pg_config on the PATH"

# PostgreSQL refuses to be root.
as=()
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
fi
own() { "${as[@]}" "$@"; }

folder="$(mktemp -d "${TMPDIR:-/tmp}/callboard-cluster.XXXXXX")"
base="$(cd / && own mktemp -d "${TMPDIR:-/tmp}/callboard-cluster-postgres.XXXXXX")"
pids=() clusters=()
cleanup() {
    trap '' INT TERM HUP
    # Workers end their steps first, fronts their calls; a second later nobody is asked any more.
    kill -TERM "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    for data in "${clusters[@]}"; do
        (cd / && own "$bin/pg_ctl" stop -s -w -m immediate -D "$data") >/dev/null 2>&1 || true
    done
    rm -rf "$folder"
    (cd / && own rm -rf "$base")
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
password="$(secret)"
CALLBOARD_TOKEN="$(secret)"
export CALLBOARD_TOKEN PGPASSWORD="$password"

say() { printf '%5.1f s  %s\n' "$(seconds)" "$*"; }
seconds() { echo "$EPOCHREALTIME $began" | awk '{print $1 - $2}'; }
began="$EPOCHREALTIME"

# --- PostgreSQL: a primary, and a standby that has every commit before it is told ---

# Starts a server on a free port, which it leaves in $port.
start() {
    local data="$1" log="$base/log"
    clusters+=("$data")
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 10000))
        echo "port = $port" | own tee -a "$data/postgresql.conf" >/dev/null
        if (cd / && own "$bin/pg_ctl" start -s -w -t 60 -D "$data" -l "$log") >/dev/null 2>&1 </dev/null; then
            return
        fi
        grep -q 'Address already in use' "$log" || break
    done
    fail "PostgreSQL does not start: $(tail -n 3 "$log" 2>/dev/null)"
}
sql() { "$bin/psql" -qAtX -h 127.0.0.1 -p "$primary" -U callboard -d "$1" -c "$2"; }
# Waits for a command to succeed.
until_true() {
    local what="$1"
    shift
    for _ in {1..200}; do
        ! "$@" || return 0
        sleep 0.1
    done
    fail "$what never came to be"
}
is_synchronous() { [ "$(sql postgres "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")" = 1 ]; }

echo "$password" | own tee "$base/password" >/dev/null
(cd / && own "$bin/initdb" --no-sync --encoding=UTF8 --locale=C --username=callboard --auth=scram-sha-256 \
    --pwfile="$base/password" -D "$base/primary") >/dev/null || fail "PostgreSQL does not make its folder"
own tee -a "$base/primary/postgresql.conf" >/dev/null <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 32MB
CONF
start "$base/primary"
primary="$port"
(cd / && own env PGPASSWORD="$password" "$bin/pg_basebackup" -h 127.0.0.1 -p "$primary" -U callboard -w \
    -D "$base/standby" --write-recovery-conf --checkpoint=fast --no-sync) || fail "the standby is not made"
echo "cluster_name = 'standby'" | own tee -a "$base/standby/postgresql.conf" >/dev/null
start "$base/standby"
standby="$port"
sql postgres "CREATE DATABASE callboard"
sql postgres "ALTER SYSTEM SET synchronous_standby_names = 'standby'"
sql postgres "SELECT pg_reload_conf()" >/dev/null
until_true "a synchronous standby" is_synchronous
export CALLBOARD_STORE="postgres://callboard:$password@127.0.0.1:$primary,127.0.0.1:$standby/callboard"
say "PostgreSQL: the primary on port $primary, a synchronous standby on port $standby"

# --- The processes: two that answer, three that work; they share the database and nothing else ---

fronts=() workers=()
listens() { grep -q '^listening on ' "$1"; }
for n in 1 2; do
    "$callboard" serve --no-work --http 127.0.0.1:0 --grace 5 --team "$team" --data "$folder/front-$n" \
        </dev/null >/dev/null 2>"$folder/front-$n.log" &
    pids+=("$!")
    until_true "an address of front $n" listens "$folder/front-$n.log"
    fronts+=("$(sed -n 's/^listening on //p' "$folder/front-$n.log")")
    say "front $n: ${fronts[-1]}"
done
for n in 1 2 3; do
    "$callboard" work --at-once 3 --grace 5 --team "$team" --data "$folder/work${apart:+-$n}" \
        </dev/null >/dev/null 2>"$folder/worker-$n.log" &
    pids+=("$!")
    workers+=("$!")
done
say "workers: processes ${workers[*]}"

# Calls a tool at a front: call URL TOOL ARGUMENTS.
call() {
    local meta='"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}}'
    curl -sS --max-time 60 "$1" -H 'Content-Type: application/json' -H "Authorization: Bearer $CALLBOARD_TOKEN" \
        -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H "Mcp-Name: $2" -d \
        "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\", \"params\": {\"name\": \"$2\", \"arguments\": $3, $meta}}"
}
# The first text of that name in what was answered.
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4 || true; }

tasks= parts=
for n in $(seq "$n_parts"); do
    tasks+="{\"id\": \"part-$n\", \"to\": \"reader\", \"task\": \"Read part $n of the text\"}, "
    parts+="${parts:+, }\"part-$n\""
done
tasks+="{\"id\": \"report\", \"to\": \"editor\", \"task\": \"Make one report of it\", \"after\": [$parts]}"
said="$(call "${fronts[0]}" team_run "{\"tasks\": [$tasks], \"wait_s\": 0}")"
run="$(field run <<<"$said")"
[ -n "$run" ] || fail "front 1 did not take the plan: $said"
say "front 1 takes a plan of $((n_parts + 1)) tasks: $run"

# --- One worker is killed; the others go on ---

# The worker with most in hand: the kernel tells which process holds the lock of which node.
busiest() {
    local node pid
    node="$(sql callboard "SELECT node FROM run WHERE state = 'running' GROUP BY node ORDER BY count(*) DESC LIMIT 1")"
    for pid in "${workers[@]}"; do
        if ls -l "/proc/$pid/fd" 2>/dev/null | grep -q "/nodes/$node.lock"; then
            echo "$pid"
            return
        fi
    done
    echo "${workers[0]}"
}
killed= last=
while :; do
    view="$(call "${fronts[1]}" team_status "{\"run\": \"$run\", \"wait_s\": 0}")"
    state="$(field state <<<"$view")" step="$(field step <<<"$view")"
    [ "$state" = working ] || [ "$state" = queued ] || break
    [ "$step" = "$last" ] || say "front 2 tells: $step"
    last="$step"
    if [ -z "$killed" ] && [ "${step%% *}" != 0 ] && [ -n "$step" ]; then
        killed="$(busiest)"
        kill -9 "$killed"
        wait "$killed" 2>/dev/null || true
        say "kill -9 $killed: a worker is gone, with all it had in hand"
    fi
    sleep 0.3
done
say "front 2 tells: $state, $(field result <<<"$view")"
[ "$state" = completed ] || fail "the plan did not complete: $view"
[ -n "$killed" ] || fail "the plan was over before a worker was killed"

# --- What the journal says of it ---

story="$("$callboard" trace "$run" --team "$team" --data "$folder/front-1")"
records="$("$callboard" trace "$run" --json --team "$team" --data "$folder/front-1")"
count() { grep -c "$1" <<<"$2" || true; }
n_ended="$(count '"kind":"run_ended"' "$records")"
n_replies="$(count '"kind":"model_replied"' "$records")"
n_doubt="$(count 'went away' "$story")"
echo
echo "What the dead worker had in hand, and who asked again:"
grep -A 1 'went away' <<<"$story" | grep -v '^--$' || echo "  (it was between two steps)"
echo
echo "$n_ended runs ended for $((n_parts + 1)) tasks and their plan; $n_replies replies for $((2 * n_parts + 1)) turns; $n_doubt steps were under way at the kill and asked again"
[ "$n_ended" -eq $((n_parts + 2)) ] || fail "a run ended twice, or never"
[ "$n_replies" -eq $((2 * n_parts + 1)) ] || fail "a turn was answered twice, or never"

if [ -n "$keep" ]; then
    echo
    echo "It stays up until Ctrl-C. Either front is the team:"
    printf '  %s\n' "${fronts[@]}"
    echo "with the header   Authorization: Bearer $CALLBOARD_TOKEN"
    echo "and on the command line, with the password that stands in the address:"
    echo "  CALLBOARD_STORE='$CALLBOARD_STORE' $callboard status --team $team"
    wait "${pids[@]}" || true
fi
