#!/bin/sh
# Has a research desk answer several questions at once, and acts on how each of them ended.
#
#   briefs.sh TEAM DATA QUESTION...
#
#   TEAM   a team's folder, or ../research-desk/rehearsal.yaml to see it without a key
#   DATA   the folder of the journal; the same folder on the next day continues where this one ended
#
# `callboard run --json` prints one line, the result, and ends with a code that says what became of
# it. That is all a script needs: no daemon, no polling, no parsing of texts for people.
set -u

callboard=${CALLBOARD:-callboard}
team=$1 data=$2
shift 2

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# A field of a line of JSON, as far as it is a plain text or number. With jq it is: jq -r ".$1"
field() {
    sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

# The key makes a question safe to ask again: within a day the same key joins the run it started,
# whether that still works, has ended, or was cut off when this script was killed. So a script that
# broke in its middle is simply run again; nothing is done or paid for twice.
ask() {
    question=$1
    shift
    key="briefs-$(date +%F)-$(printf %s "$question" | cksum | tr -d ' ')"
    "$callboard" run editor "$question" --key "$key" --quiet --team "$team" --data "$data" "$@"
}

# Asks, and keeps the line, the code, and what was said about a call that was wrong.
keep() {
    ask "$2" --json >"$place/$1.json" 2>"$place/$1.err"
    echo $? >"$place/$1.code"
}

n=0
for question in "$@"; do
    n=$((n + 1))
    keep "$n" "$question" &
done
wait

failed=0
n=0
for question in "$@"; do
    n=$((n + 1))
    code=$(cat "$place/$n.code")
    run=$(field run <"$place/$n.json")
    printf '%s\n' "== $question"
    case $code in
    0)  echo "done by $(field agent <"$place/$n.json") in $(field elapsed_s <"$place/$n.json") s ($run)"
        # Without --json the result is text for people; the key makes this a look, not a second run.
        ask "$question" ;;
    10) echo "partly done ($run): read it before you use it" ;;
    11) echo "a person is asked: callboard status $run" ;;
    12) echo "the budget is spent ($run)" ;;
    13) echo "somebody cancelled it ($run)" ;;
    14) echo "it took too long ($run)" ;;
    1)  echo "failed: callboard trace $run" ;;
    *)  echo "not even begun (code $code):"
        cat "$place/$n.err" ;;
    esac
    [ "$code" -eq 0 ] || failed=$((failed + 1))
done
echo "$n asked, $failed without a full answer"
[ "$failed" -eq 0 ]
