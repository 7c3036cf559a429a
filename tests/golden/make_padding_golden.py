"""Makes padding.json: how transformers and keras_hub pad prompts and answers of the first golden checkpoint.

    python make_padding_golden.py left      with what README.md says to install
    python make_padding_golden.py right     with keras-hub 0.32.0 and a backend of Keras 3.15.1, torch say

Each writes its half, from the same lines. transformers makes the position ids within `generate`, so they are
what its language model is given.
"""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "paligemma1"
LINES = [
    dict(prompt="caption en"),
    dict(prompt="answer en What colour is the ring?", suffix="red"),
    dict(prompt="", suffix=""),
    dict(prompt="detect ring ; star", suffix="<loc0100><loc0200><loc0300><loc0400> ring"),
]


def rows(tensor):
    return [[int(number) for number in row] for row in tensor]


def left():
    import torch
    from PIL import Image
    from transformers import AutoProcessor, PaliGemmaForConditionalGeneration

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        shutil.copytree(FOLDER, folder)
        image_token = json.loads((folder / "config.json").read_text())["image_token_index"]
        (folder / "tokenizer_config.json").write_text(json.dumps(dict(
            tokenizer_class="GemmaTokenizer", add_bos_token=False, extra_special_tokens=dict(image_token="<image>"),
            added_tokens_decoder={str(image_token): dict(
                content="<image>", special=True, normalized=False, lstrip=False, rstrip=False,
                single_word=False)})))
        (folder / "processor_config.json").write_text(json.dumps(dict(processor_class="PaliGemmaProcessor")))
        processor = AutoProcessor.from_pretrained(folder)
        picture = Image.open(folder / "picture.png").convert("RGB")
        found = {}
        for name, lines in [("to_be_written", LINES[:1] + LINES[3:]), ("learned", LINES[1:])]:
            suffixes = dict(suffix=[line["suffix"] for line in lines]) if name == "learned" else {}
            batch = processor(text=[line["prompt"] for line in lines], images=[[picture]] * len(lines),
                              padding=True, return_tensors="pt", **suffixes)
            if name == "to_be_written":
                model = PaliGemmaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
                heard = []
                model.model.language_model.register_forward_pre_hook(
                    lambda module, args, kwargs: heard.append(kwargs["position_ids"]), with_kwargs=True)
                model.generate(**{k: v for k, v in batch.items() if k != "labels"}, max_new_tokens=1)
                batch["position_ids"] = heard[0].expand(len(lines), -1)
            found[name] = dict(
                lines=[{k: v for k, v in line.items() if k == "prompt" or suffixes} for line in lines],
                **{k: rows(v) for k, v in batch.items() if k != "pixel_values"})
        return found


def right():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras_hub
    import numpy as np

    tokenizer = keras_hub.models.PaliGemmaTokenizer(proto=str(FOLDER / "tokenizer.model"))
    numbers = lambda found: rows(np.asarray(found).astype(int))
    found = {}
    for name, lines in [("to_be_written", LINES[:1] + LINES[3:]), ("learned", LINES[1:])]:
        width = 64
        pre = keras_hub.models.PaliGemmaCausalLMPreprocessor(tokenizer, sequence_length=width)
        images = np.zeros((len(lines), 56, 56, 3), "float32")
        asked = dict(images=images, prompts=[line["prompt"] for line in lines])
        if name == "learned":
            x, y, weights = pre(asked | dict(responses=[line["suffix"] for line in lines]))
            more = dict(labels=numbers(y), weights=numbers(weights))
        else:
            x, more = pre.generate_preprocess(asked), {}
        batch = {k: numbers(x[k]) for k in ("token_ids", "padding_mask", "response_mask")} | more
        widest = max(sum(row) for row in batch["padding_mask"])  # as wide as the longest
        found[name] = dict(
            lines=[{k: v for k, v in line.items() if k == "prompt" or more} for line in lines],
            **{k: [row[:widest] for row in v] for k, v in batch.items()})
    return found


if __name__ == "__main__":
    file = HERE / "padding.json"
    both = json.loads(file.read_text()) if file.exists() else {}
    both[sys.argv[1]] = {"left": left, "right": right}[sys.argv[1]]()
    text = json.dumps(both, indent=1)
    file.write_text(__import__("re").sub(r"\n\s+(?=[-\d\]])", " ", text) + "\n")
