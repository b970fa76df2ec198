#!/usr/bin/env bash
# Installs Debian packages that some tests need, where that is allowed. usage: install.sh TESTS PACKAGE...
# TESTS is what cannot run without them, for people; no service of a package is started.
set -euo pipefail
tests=$1
shift
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf 'soapstone tests: no %s here; %s cannot run\n' "$*" "$tests" >&2
  exit 0
fi
printf 'soapstone tests: installing %s\n' "$*" >&2
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
made=
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; }
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
apt-get -qq update
apt-get -qq install -y --no-install-recommends "$@" >/dev/null
