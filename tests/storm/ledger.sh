#!/bin/sh
# A tool server that writes down what it is asked: MCP over stdin and stdout, in a shell that is
# there within a millisecond.
#
# usage: ledger.sh FOLDER
#
# FOLDER/seen takes one line a call, its mark; `again` may be repeated, `once` may not.

entry='"inputSchema":{"type":"object","properties":{"mark":{"type":"string"}},"required":["mark"]}'

while IFS= read -r line; do
  id=${line#*'"id":'}
  id=${id%%[,\}]*}
  case $line in
    *'"method":"notifications/'*) continue ;;
    *'"method":"initialize"'*)
      version=${line#*'"protocolVersion":"'}
      version=${version%%'"'*}
      result='{"protocolVersion":"'$version'","capabilities":{"tools":{}},"serverInfo":{"name":"ledger","version":"1"}}'
      ;;
    *'"method":"tools/list"'*)
      result='{"tools":[{"name":"once","description":"Writes it down.",'$entry'},{"name":"again","description":"Writes it down.",'$entry',"annotations":{"idempotentHint":true}}]}'
      ;;
    *'"method":"tools/call"'*)
      mark=${line#*'"mark":"'}
      printf '%s\n' "${mark%%'"'*}" >> "$1/seen"
      result='{"content":[{"type":"text","text":"written down"}]}'
      ;;
    *)
      printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown method"}}\n' "$id"
      continue
      ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
