#!/usr/bin/env bash
# Installs Debian's chromium for the page's tests, where there is none.
set -euo pipefail
[ -x "${SOAPSTONE_CHROMIUM:-/usr/bin/chromium}" ] || bash "$(dirname "$0")/../install.sh" 'the tests of the page' chromium
