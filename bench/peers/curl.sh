#!/usr/bin/env bash
# JSON Lines in, one score per line out: GNU parallel cuts, jq translates, curl
# sends. curl.sh URL INPUT OUTPUT
set -euo pipefail
send() {
  jq -sc '{inputs: [{name: "input", shape: [length, 4], datatype: "FP64", data: map(.a, .b, .c, .d)}]}' |
    curl -sS --fail -H 'Content-Type: application/json' --data-binary @- "$1" |
    jq -c '.outputs[0].data[]'
}
export -f send
parallel --will-cite --pipe -N 128 -j 8 --keep-order send "$1" < "$2" > "$3"
