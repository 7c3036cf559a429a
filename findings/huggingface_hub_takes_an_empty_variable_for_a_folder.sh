#!/usr/bin/env bash
# huggingface_hub 2.4.0. Measured 2026-11. Needs python3 and PyPI; everything is in a temporary folder.
#
# HF_HOME, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE and XDG_CACHE_HOME that are set and empty, as `ENV HF_HOME=` in a
# container or `HF_HOME="$UNSET"` in a script leaves them, are not passed over, as most programs and the XDG
# specification have it. The cache is then a path relative to wherever the process happens to run: nothing that was
# downloaded before is found, and gigabytes are downloaded into the working directory.
#
# Output seen:
#   HF_HOME= : cache 'hub'
#   HF_HUB_CACHE= : cache ''
#   XDG_CACHE_HOME= : cache 'huggingface/hub'
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check huggingface_hub==2.4.0
unset HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME
seen=""
for name in HF_HOME HF_HUB_CACHE XDG_CACHE_HOME; do
  cache=$(env "$name=" "$dir/venv/bin/python" -c '
from huggingface_hub import constants
print(repr(constants.HF_HUB_CACHE))')
  echo "$name= : cache $cache"
  seen+="$cache "
done
[ "$seen" = "'hub' '' 'huggingface/hub' " ]
