#!/usr/bin/env bash
# Installs Debian's zsh and fish for the tests of completion, where there are none.
set -euo pipefail
{ command -v zsh && command -v fish; } >/dev/null || bash "$(dirname "$0")/../install.sh" 'the tests of completion in them' zsh fish
