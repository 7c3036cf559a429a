"""Makes adapters/ of both golden checkpoints: LoRA adapters as PEFT writes them, and adapters.json, what
transformers says with each.

    python make_adapter_golden.py

README.md says what to install. Each adapter is drawn again until the answer is another than without it, and
none of its tokens hangs on a float's rounding.
"""
import itertools
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tools"))
import peft_adapters as adapters
import transformers_reference as reference
from make_decoding_golden import loaded
from transformers_reference import make_tokenizer

STEPS = 12
PROMPT = "caption en"
# Whole tables are large: compare_adapters.py tries them.
LEFT_OUT = ("saved_embedding", "saved_head")


def make(folder, resample, kinds):
    model, _, both = loaded(folder, resample)
    pieces = make_tokenizer.load((folder / "tokenizer.model").read_bytes())
    ids = reference.prompt_ids(model.config, pieces, PROMPT)
    without = adapters.said(model, ids, both[:1], STEPS)
    out = folder / "adapters"
    shutil.rmtree(out, ignore_errors=True)
    answers = {}
    for kind in kinds:
        for seed in itertools.count():
            adapters.make(folder, kind, seed, out / kind)
            single, double = adapters.said_with(folder, out / kind, ids, both[:1], STEPS)
            if single == double and single[:4] != without[:4] and len(set(single)) > 6:
                break
        answers[kind] = single
        print(folder.name, kind, seed, single)
    if "language" in kinds:
        adapters.rename(out / "all_linear", out / "old_names", adapters.OLD)
        answers["old_names"] = answers["all_linear"]  # PEFT itself passes over the projector's there
    recorded = dict(prompt=PROMPT, without=without, answers=answers)
    (out / "adapters.json").write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    kinds = [kind for kind in adapters.KINDS if kind not in LEFT_OUT]
    make(HERE / "paligemma1", 3, kinds)
    make(HERE / "paligemma2", 2, ["all_linear", "dora", "embedding_dora", "head", "tokens"])
