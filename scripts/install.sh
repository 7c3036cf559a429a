#!/usr/bin/env bash
# Installs the Debian packages that the build and the tests need, if any is missing. Further package
# names may be given. Debian 12; the names are the same on Ubuntu 24.04.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkg-config git python3
  libsentencepiece-dev libstb-dev libjpeg-dev libwebp-dev zlib1g-dev libzip-dev libpcre2-dev libhdf5-dev
  nlohmann-json3-dev libcli11-dev
  libgtest-dev libbenchmark-dev curl libmicrohttpd-dev
  "$@"
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
    missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing: ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
  "${missing[@]}"
