"""Makes training/ of both golden checkpoints: gradients, losses and norms as torch has them when transformers learns.

    python make_training_golden.py

README.md says what to install. Pictures have the model's size, so that nothing is resized. Everything is computed in
float64, so that what is stored is the truth to float32's last place; that float32 says the same is tried.
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tools"))
import training_reference as training
import transformers_reference as reference
from transformers_reference import make_tokenizer
from PIL import Image

LINES = [
    ("caption en", "two boats near river"), ("answer en what is the colour of the car", "red"),
    ("detect house", "<loc0100><loc0200><loc0300><loc0400> house"), ("ocr", "left a an and")]
RECIPE = training.Recipe(lr=1e-4)  # larger steps part float32 from float64: attention peaks here


def make(folder):
    out = folder / "training"
    out.mkdir(exist_ok=True)
    single = reference.load(folder)
    with reference.double_precision():
        double = reference.in_double(single)
    side = single.config.vision_config.image_size
    pieces = make_tokenizer.load((folder / "tokenizer.model").read_bytes())
    picture = Image.open(folder / "picture.png").convert("RGB")
    examples = []
    with open(out / "lines.jsonl", "w") as lines:
        for i, (prefix, suffix) in enumerate(LINES):
            turned = picture.rotate(90 * i, expand=True).resize((side, side), Image.Resampling.BICUBIC)
            turned.save(out / f"{i}.png")
            examples.append(([turned], prefix, suffix))
            lines.write(json.dumps(dict(image=f"{i}.png", prefix=prefix, suffix=suffix)) + "\n")
    for model in (single, double):
        training.choose(model, freeze="")
    with reference.double_precision():
        gradients, losses, norms, _ = training.train(double, pieces, examples, RECIPE, torch.float64)
    again, single_losses, single_norms, _ = training.train(single, pieces, examples, RECIPE, torch.float32)
    largest = max(float(g.abs().max()) for g in gradients.values())
    vanishing = {name for name, g in gradients.items() if g.abs().max() < 1e-9 * largest}
    assert all(name.endswith("k_proj.bias") for name in vanishing)  # it moves all scores of a query alike
    worst = max(float((again[name] - g).abs().max() / g.abs().max())
                for name, g in gradients.items() if name not in vanishing)
    apart = max(abs(a - b) / b for a, b in zip(single_losses + single_norms, losses + norms))
    assert worst < 1e-4 and apart < 3e-4, (worst, apart)
    save_file({training.stored_name(name): g.float().contiguous() for name, g in gradients.items()},
              out / "gradients.safetensors")
    reference.write_json(out / "steps.json", dict(losses=losses, grad_norms=norms))
    print(folder.name, len(gradients), "gradients, losses", [round(x, 4) for x in losses],
          "float32 is within", worst, "and", apart)


if __name__ == "__main__":
    for version in (1, 2):
        make(HERE / f"paligemma{version}")
