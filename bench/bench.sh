#!/usr/bin/env bash
# make bench: installs what we are compared with, starts the databases and the
# object store unless the environment names some, measures, and writes the
# guide's table and plot. BENCH is a regexp of benchmarks, BENCH_SCALE
# multiplies sizes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=build/bench
mkdir -p "$dir"
bash bench/peers/install.sh "$dir"

stop() { bash tools/servers.sh stop "$PWD/$dir/servers"; }
if [ -z "${BATCH_TEST_POSTGRES:-}" ] || [ -z "${BATCH_TEST_MARIADB:-}" ] || [ -z "${BATCH_TEST_S3:-}" ]; then
  trap stop EXIT
  bash tools/servers.sh start "$PWD/$dir/servers"
  . "$dir/servers/env"
fi

# A part is added to what was measured before in the same sizes.
results=$PWD/$dir/results.json
[ "${BENCH_SCALE:-1}" = 1 ] || results=$PWD/$dir/scaled/$BENCH_SCALE/results.json
[ "${BENCH:-.}" != . ] || rm -f "$results"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo 'an unknown commit')
[ -z "$(git status --porcelain --untracked-files=no -- '*.go' 2>/dev/null)" ] || commit="$commit, changed"
BENCH_RESULTS=$results BENCH_COMMIT=$commit go test -tags bench -run '^$' -bench "${BENCH:-.}" -benchtime 1x -count=1 -timeout 90m -v ./bench
go run ./bench "$results"
