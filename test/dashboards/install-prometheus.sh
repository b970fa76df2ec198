#!/usr/bin/env bash
# Installs Debian's prometheus, with promtool, for the tests of dashboards and alerts, where there is none.
set -euo pipefail
{ command -v prometheus && command -v promtool; } >/dev/null ||
  bash "$(dirname "$0")/../install.sh" 'the tests of alerts and queries' prometheus
