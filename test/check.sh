#!/usr/bin/env bash
# Runs the checks of the source side by side, since none of them has work for two cores all the time.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

checks=(lint types dead format:check)
for check in "${checks[@]}"; do
  npm run -s "$check" >"$logs/$check" 2>&1 &
  pids+=($!)
done
failed=0
for i in "${!checks[@]}"; do
  wait "${pids[i]}" || failed=1
  cat "$logs/${checks[i]}"
done
exit $failed
