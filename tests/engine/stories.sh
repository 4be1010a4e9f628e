#!/usr/bin/env bash
# Tells stories again on the PostgreSQL that CALLBOARD_TEST_SERVER names: the same tests, with another
# store under them, some beside each other; and plays histories on a server of their own.
#
# usage: tests/engine/with_server.sh tests/engine/stories.sh [all | NAME…]
#
# Without a word those that matter most where the database is another one; with `all` every one that
# there is; else the test binaries that are named.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/../.."
: "${CALLBOARD_TEST_SERVER:?run it through tests/engine/with_server.sh}"

# The longest first.
stories=(simulate storm kill fuses crash handles plans ranking replay memory budgets shares people told routing)
more=(goes_on agents house faults guardrails reload hands leave throttle)
# What cannot be asked on a server, and why: whether a disk is full is the server's to say.
declare -A skips=([crash]=a_full_disk_takes_nothing_in_and_loses_nothing)
# Test binaries beside each other.
readonly BESIDE=3
export STORM_KILLS="${STORM_KILLS:-60}"

case "${1:-}" in
    "") ;;
    all) stories+=("${more[@]}") ;;
    *) stories=("$@") ;;
esac

# The same libraries as in a test of all: those of one package alone would be other ones.
tests=()
for story in "${stories[@]}"; do tests+=(--test "$story"); done
built="$(cargo test --workspace --locked --no-run "${tests[@]}" 2>&1)" || { echo "$built" >&2; exit 1; }
declare -A programs
while read -r story program; do programs[$story]="$program"; done \
    < <(sed -nE 's/^ *Executable tests\/([^ ]+)\.rs \((.+)\)$/\1 \2/p' <<<"$built")

logs="${CARGO_TARGET_DIR:-target}/stories"
# Each story that is over says here what it left on the server: see tests/stage/mod.rs.
told="${CARGO_TARGET_DIR:-target}/tmp/told"
rm -rf "$logs" "$told"
mkdir -p "$logs" "$told"
trap 'kill $(jobs -rp) 2>/dev/null || true' EXIT

tell() {
    local story="$1" begun=$SECONDS code=0 arguments=(--test-threads 2)
    case "$story" in
        simulate) arguments+=(--ignored) ;;
        *) [ -z "${skips[$story]:-}" ] || arguments+=(--exact --skip "${skips[$story]}") ;;
    esac
    "${programs[$story]}" "${arguments[@]}" >"$logs/$story" 2>&1 || code=$?
    echo "$code $((SECONDS - begun))" >"$logs/$story.ended"
}

# One line for a binary; why it does not hold, if it does not.
verdict() {
    local story="$1" code=none took=0 passed=0 left=0 records=0 wanted=0 why=""
    read -r code took <"$logs/$story.ended" || true
    read -r passed left < <(sed -nE 's/^test result: .* ([0-9]+) passed; .* ([0-9]+) filtered out.*/\1 \2/p' "$logs/$story") || true
    [ ! -e "$told/$story" ] || records="$(awk '{ all += $1 } END { print all + 0 }' "$told/$story")"
    [ -z "${skips[$story]:-}" ] || wanted=1
    if [ "$code" != 0 ]; then
        why="it failed"
    elif [ "${passed:-0}" -eq 0 ]; then
        why="no test was run"
    elif [ "$story" != simulate ] && [ "$left" -ne "$wanted" ]; then
        why="$left tests were left out, and $wanted are to be"
    elif [ "$story" != simulate ] && [ "$records" -eq 0 ]; then
        why="nothing was written on the server"
    fi
    echo "$story: ${passed:-0} passed, ${left:-0} left out, $records records on the server, $took s${why:+: $why}"
    [ -z "$why" ] || { tail -n 200 "$logs/$story"; return 1; }
}

for story in "${stories[@]}"; do
    [ -n "${programs[$story]:-}" ] || { echo "there is no test binary $story" >&2; exit 1; }
    while [ "$(jobs -rp | wc -l)" -ge "$BESIDE" ]; do wait -n || true; done
    tell "$story" &
done
wait
wrong=0
for story in "${stories[@]}"; do verdict "$story" || wrong=1; done
exit "$wrong"
