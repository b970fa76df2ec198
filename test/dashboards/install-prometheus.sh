#!/usr/bin/env bash
# Installs Debian's prometheus (with promtool) for the tests of dashboards and alerts, where there is none and that is allowed; the
# tests that need it are left out elsewhere.
set -euo pipefail
command -v prometheus >/dev/null && command -v promtool >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf 'soapstone tests: no prometheus here; the tests of alerts and queries are left out\n' >&2
  exit 0
fi
printf 'soapstone tests: installing prometheus\n' >&2
export DEBIAN_FRONTEND=noninteractive
# Its service is not to start: only the program is wanted.
policy=/usr/sbin/policy-rc.d
made=
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; }
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
apt-get -qq update
apt-get -qq install -y --no-install-recommends prometheus >/dev/null
