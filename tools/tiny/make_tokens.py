#!/usr/bin/env python3
"""What transformers' PaliGemma says with models/tiny about 64 scenes: tests/golden/tiny/tokens.json.

    venv/bin/python tools/tiny/make_tokens.py

Scene i of the test split is drawn by the program, resized by Pillow, and asked what the evaluation asks about it; the
answers are greedy, eager, in float32. Needs what tests/golden/README.md installs, and the program in build/cpu.
"""
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
import transformers_reference as reference
from PIL import Image
from transformers_reference import make_tokenizer

SCENES, STEPS, BICUBIC = 64, 100, 3
BUILD, MODEL, OUT = ROOT / "build" / "cpu", ROOT / "models" / "tiny", ROOT / "tests" / "golden" / "tiny" / "tokens.json"


def prompts():
    """What is asked about each scene, from the records of scene_examples."""
    size = 14
    data = subprocess.run([BUILD / "scene_examples", "--split", "test", "--count", str(SCENES), "--size", str(size)],
                          capture_output=True, check=True).stdout
    while data:
        length, = struct.unpack("<I", data[:4])
        truth = json.loads(data[4:4 + length])
        data = data[4 + length + size * size * 3 + 64 * 64 * len(truth["objects"]):]
        yield [example["prompt"] for example in truth["examples"]]


def main():
    model = reference.load(MODEL)
    pieces = make_tokenizer.load((MODEL / "tokenizer.model").read_bytes())
    answers, lead = [], float("inf")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scene.png"
        for scene, asked in enumerate(prompts()):
            subprocess.run([BUILD / "paligemma", "scene", "--split", "test", "--seed", str(scene), "-o", file],
                           stdout=subprocess.DEVNULL, check=True)
            picture = reference.pixels(Image.open(file), model.config.vision_config.image_size, BICUBIC)
            for prompt in asked:
                taps, ids = reference.run(model, picture, reference.prompt_ids(model.config, pieces, prompt), STEPS)
                lead = min(lead, reference.gaps(taps["logits"]).min())
                answers.append(dict(scene=scene, prompt=prompt, ids=ids))
    lines = ",\n".join("  " + json.dumps(answer) for answer in answers)
    OUT.write_text(f"[\n{lines}\n]\n")
    print(f"{len(answers)} answers about {SCENES} scenes; the first token leads the second by {lead:.2g} at least")


if __name__ == "__main__":
    main()
