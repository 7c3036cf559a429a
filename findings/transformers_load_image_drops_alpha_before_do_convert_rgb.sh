#!/usr/bin/env bash
# transformers 5.23.0, Pillow 13.0.0. Measured 2026-11. Needs python3 and PyPI; everything is in a temporary folder.
#
# An image processor with do_convert_rgb true composites a transparent picture on white. But only one that it is given
# as an image in memory: load_image, through which a path, an address or a base64 text goes in a pipeline or a chat
# template, ends with convert("RGB"), which drops alpha and shows the colour that is stored under it. So the same file
# gives two different inputs, by how it is handed over, and no field of the configuration says which.
#
# Output seen, for one pixel of colour 10, 20, 30 and alpha 0:
#   in memory, by the processor: (255, 255, 255)
#   by its path, load_image: (10, 20, 30)
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 pillow==13.0.0 numpy==2.4.6
"$dir/venv/bin/python" - "$dir/picture.png" 2>/dev/null <<'PY'
import sys
from PIL import Image
from transformers.image_transforms import convert_to_rgb
from transformers.image_utils import load_image

picture = Image.new("RGBA", (1, 1), (10, 20, 30, 0))
picture.save(sys.argv[1])
in_memory = convert_to_rgb(picture).getpixel((0, 0))
by_path = load_image(sys.argv[1]).getpixel((0, 0))
print("in memory, by the processor:", in_memory)
print("by its path, load_image:", by_path)
sys.exit((in_memory, by_path) != ((255, 255, 255), (10, 20, 30)))
PY
