#!/usr/bin/env bash
# Installs what the tests of WebGPU run on, where it is missing: the loader of Vulkan, and SwiftShader, a Vulkan device of software,
# which Debian's chromium has in its folder.
set -euo pipefail
missing=()
[ -e /usr/lib/chromium/libvk_swiftshader.so ] || missing+=(chromium)
ldconfig -p | grep -q 'libvulkan\.so\.1' || missing+=(libvulkan1)
[ ${#missing[@]} = 0 ] || bash "$(dirname "$0")/../install.sh" 'the tests of WebGPU' "${missing[@]}"
