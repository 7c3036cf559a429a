"""Compares the program's rules for tokens and its beams with transformers' over many random checkpoints.

    python tools/compare_decoding.py -n 20 -- --reference

The checkpoints are those of compare_with_transformers.py. Each is asked by several settings of `generate`, and
the ids must be the same; where transformers itself says something else in float64, rounding decides, and the
case is passed over. Exits 1 on any mismatch. Needs what tests/golden/README.md installs.
"""
import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import compare_with_transformers as checkpoints
import transformers_reference as reference
from PIL import Image
from transformers_reference import make_tokenizer

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/golden"))
from make_decoding_golden import loaded, said

STEPS = 12


def settings_of(pick):
    """What `generate` is given, without what leaves everything as it is."""
    how = dict(repetition_penalty=pick("penalty", 1.0, 1.3, 0.7),
               no_repeat_ngram_size=pick("ngram", 0, 0, 2, 3), num_beams=pick("beams", 1, 2, 3, 4))
    if how["num_beams"] > 1:
        how |= dict(length_penalty=pick("length", 1.0, 0.0, 2.0, -1.0),
                    early_stopping=pick("stopping", False, True, "never"),
                    num_return_sequences=pick("answers", 1, 2))
    return how


def flags_of(how):
    return [part for name, value in how.items()
            for part in (f"--{name}", str(value).lower() if name == "early_stopping" else str(value))]


def said_by_program(binary, extra, folder, pictures, prompt, how):
    command = [binary, "-m", folder, "-p", prompt, "-n", str(STEPS), "--json", *flags_of(how), *extra]
    for picture in pictures:
        command += ["--image", picture]
    answer = json.loads(checkpoints.run(command))
    return [[token["id"] for token in one["tokens"]] for one in answer.get("answers", [answer])]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=20, help="how many checkpoints")
    parser.add_argument("--each", type=int, default=4, help="how many settings of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--binary", type=Path, default=Path("build/cpu/paligemma"))
    parser.add_argument("extra", nargs="*", help="further arguments of the program, after --")
    arguments = parser.parse_args()

    pick = checkpoints.Decks(random.Random(arguments.seed))
    failed = close = 0
    for i in range(arguments.n):
        settings = checkpoints.draw(pick, pick.rng)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            checkpoints.write(settings, folder)
            end = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
            end = end if isinstance(end, list) else [end]
            model, double, both = loaded(folder, settings["resample"])
            pictures = [folder / "picture.png", folder / "turned.png"]
            Image.open(pictures[0]).rotate(90, expand=True).save(pictures[1])
            pieces = make_tokenizer.load((folder / "tokenizer.model").read_bytes())
            for _ in range(arguments.each):
                how = settings_of(pick)
                count = pick("pictures", 1, 1, 2)
                pixels = both[:count]
                ids = reference.prompt_ids(model.config, pieces, settings["prompt"], count)
                expected = [a["ids"] for a in said(model, ids, pixels, STEPS, end, **how)]
                with reference.double_precision():
                    again = [a["ids"] for a in said(double, ids, pixels.double(), STEPS, end, **how)]
                found = said_by_program(
                    arguments.binary, arguments.extra, folder, pictures[:count], settings["prompt"], how)
                if found == expected:
                    continue
                kind = "close" if expected != again else "FAIL"
                failed, close = failed + (kind == "FAIL"), close + (kind == "close")
                print(f"{i:3} {kind} {count} pictures {how}\n    {expected}\n    {found}\n"
                      f"    {checkpoints.describe(settings)}", flush=True)
    print(f"{arguments.n * arguments.each} cases, {failed} differ, {close} more are rounding's")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
