"""Compares the program's answers with LoRA adapters with transformers' over many random checkpoints.

    python tools/compare_adapters.py -n 20 -- --reference

The checkpoints are those of compare_with_transformers.py. Each gets adapters of several kinds, of which the ids that
follow must be the same, beside the model and merged into it; where transformers itself says something else in
float64, rounding decides, and the case is passed over. Exits 1 on any mismatch. Needs what tests/golden/README.md
installs.
"""
import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import compare_with_transformers as checkpoints
import peft_adapters as adapters
import transformers_reference as reference
from transformers_reference import make_tokenizer

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/golden"))
from make_decoding_golden import loaded

STEPS = 10


def said_by_program(binary, extra, folder, picture, prompt, *flags):
    # As transformers is asked: what an adapter replaces is not rounded to the type of the model's file.
    answer = checkpoints.run([binary, "-m", folder, "--image", picture, "-p", prompt, "-n", str(STEPS), "--json",
                              "--dtype", "f32", *flags, *extra])
    return [token["id"] for token in json.loads(answer)["tokens"]]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=20, help="how many checkpoints")
    parser.add_argument("--each", type=int, default=3, help="how many adapters of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--binary", type=Path, default=Path("build/cpu/paligemma"))
    parser.add_argument("extra", nargs="*", help="further arguments of the program, after --")
    arguments = parser.parse_args()

    pick = checkpoints.Decks(random.Random(arguments.seed))
    failed = close = cases = 0
    for i in range(arguments.n):
        settings = checkpoints.draw(pick, pick.rng) | dict(stop_early=False)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            folder.mkdir()
            checkpoints.write(settings, folder)
            model, _, both = loaded(folder, settings["resample"])
            pieces = make_tokenizer.load((folder / "tokenizer.model").read_bytes())
            ids = reference.prompt_ids(model.config, pieces, settings["prompt"])
            for k in range(arguments.each):
                kind = pick("kind", *adapters.KINDS)
                adapter, merged = Path(scratch) / f"adapter{k}", Path(scratch) / f"merged{k}"
                adapters.make(folder, kind, pick.rng.randrange(2**32), adapter)
                single, double = adapters.said_with(folder, adapter, ids, both[:1], STEPS)
                if 1 in single:
                    single = single[:single.index(1) + 1]
                checkpoints.run([arguments.binary, "merge", "-q", "-m", folder, "--adapter", adapter, merged])
                ask = [arguments.binary, arguments.extra]
                about = [folder / "picture.png", settings["prompt"]]
                found = [said_by_program(*ask, folder, *about, "--adapter", adapter)]
                if settings["dtype"] == "float32":  # other weights are rounded once more
                    found.append(said_by_program(*ask, merged, *about))
                cases += 1
                if all(one == single for one in found):
                    continue
                verdict = "close" if single != double[:len(single)] else "FAIL"
                failed, close = failed + (verdict == "FAIL"), close + (verdict == "close")
                print(f"{i:3} {verdict} {kind}\n    {single}\n    {found}\n"
                      f"    {checkpoints.describe(settings)}", flush=True)
    print(f"{cases} cases, {failed} differ, {close} more are rounding's")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
