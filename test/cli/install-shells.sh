#!/usr/bin/env bash
# Installs Debian's zsh and fish for the tests of completion, where there are none and that is allowed; their tests are left out
# elsewhere.
set -euo pipefail
command -v zsh >/dev/null && command -v fish >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf 'soapstone tests: no zsh or fish here; the tests of their completion are left out\n' >&2
  exit 0
fi
printf 'soapstone tests: installing zsh and fish\n' >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends zsh fish >/dev/null
