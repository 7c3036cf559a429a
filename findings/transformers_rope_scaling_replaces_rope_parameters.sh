#!/usr/bin/env bash
# transformers 5.23.0. Measured 2026-11. Needs python3 and PyPI; everything is in a temporary folder.
#
# rope_parameters is the field of version 5 and holds rope_theta; rope_scaling is the field of version 4. Where a
# config.json has both, as one that was edited by hand or by a converter does, the old field wins and replaces the new
# one whole: a rope_theta that stands in rope_parameters alone becomes the class's default, without a warning. A
# rope_theta at the old place, beside them, is kept.
#
# Output seen:
#   rope_parameters alone: theta 5.0
#   and rope_scaling of type default: theta 10000.0
#   rope_scaling and rope_theta at the old place: theta 7.0
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0
"$dir/venv/bin/python" - 2>/dev/null <<'PY'
import sys
from transformers import GemmaConfig

new = {"rope_type": "default", "rope_theta": 5.0}
cases = {"rope_parameters alone": dict(rope_parameters=new),
         "and rope_scaling of type default": dict(rope_parameters=new, rope_scaling={"rope_type": "default"}),
         "rope_scaling and rope_theta at the old place": dict(rope_theta=7.0, rope_scaling={"rope_type": "default"})}
seen = []
for name, fields in cases.items():
    seen.append(GemmaConfig(**fields).rope_parameters["rope_theta"])
    print(f"{name}: theta {seen[-1]}")
sys.exit(seen != [5.0, 10000.0, 7.0])
PY
