#!/usr/bin/env bash
# A PostgreSQL that follows the one on a port of this machine, in a folder of its own. At the end of its
# input it is stopped and the folder is gone.
#
# usage: standby.sh PASSWORD PORT     says `ready PORT`, or why not
set -uo pipefail
shared="$(cd "${BASH_SOURCE[0]%/*}/../engine" && pwd)/postgres.sh"
cd /
. "$shared"
folder="$(own mktemp -d "${TMPDIR:-/tmp}/callboard-standby.XXXXXX")" || exit 1
log="$folder/log"

PGPASSWORD="$1" own "$bin/pg_basebackup" -h 127.0.0.1 -p "$2" -U callboard -D "$folder/data" \
    --write-recovery-conf --checkpoint fast --no-sync 2>&1 </dev/null | own tee "$log" >/dev/null || fail "copy the primary"
begin_on_a_free_port
echo "ready $port"
while IFS= read -r _; do :; done
halt
rm -rf "$folder"
