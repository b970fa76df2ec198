#!/usr/bin/env bash
# Runs the checks, the tests with all their strategies, and the tests against a real API server; ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
# Hundreds of processes load the same modules: each is compiled once.
NODE_COMPILE_CACHE=$(mktemp -d)
export NODE_COMPILE_CACHE
trap 'rm -rf "$log" "$NODE_COMPILE_CACHE"' EXIT
failed_runs=0

run() {
  printf '\n== %s\n' "$*"
  "$@" 2>&1 | tee -a "$log"
  [ "${PIPESTATUS[0]}" = 0 ] || failed_runs=$((failed_runs + 1))
}

# Sums the counts of AVA's closing lines, such as `38 tests passed` and `1 uncaught exception`.
count() { grep -oE "^ *[0-9]+ ($1)" "$log" | awk '{ sum += $1 } END { print sum + 0 }'; }

run npm run -s check
bash test/explain/install-chromium.sh
bash test/kernels/install-vulkan.sh
bash test/dashboards/install-prometheus.sh
bash test/cli/install-shells.sh
export SOAPSTONE_TESTS=full
run ava
run ava --config test/cluster/ava.config.js

passed=$(count 'tests? passed')
failed=$(count 'tests? failed|uncaught exceptions?|unhandled rejections?|test files? (was|were) not found')
[ "$failed_runs" -gt 0 ] && [ "$failed" = 0 ] && failed=$failed_runs
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
