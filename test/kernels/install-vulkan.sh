#!/usr/bin/env bash
# Installs what the tests of WebGPU run on, where it is missing and that is allowed: the loader of Vulkan, and SwiftShader, a
# Vulkan device of software, which Debian's chromium has in its folder. The tests are left out elsewhere.
set -euo pipefail
missing=()
[ -e /usr/lib/chromium/libvk_swiftshader.so ] || missing+=(chromium)
ldconfig -p | grep -q 'libvulkan\.so\.1' || missing+=(libvulkan1)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf 'soapstone tests: no %s here; the tests of WebGPU fail\n' "${missing[*]}" >&2
  exit 0
fi
printf 'soapstone tests: installing %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
