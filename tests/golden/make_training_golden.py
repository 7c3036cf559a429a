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
import transformers_reference as reference
from transformers_reference import make_tokenizer
from PIL import Image

LINES = [
    ("caption en", "two boats near river"), ("answer en what is the colour of the car", "red"),
    ("detect house", "<loc0100><loc0200><loc0300><loc0400> house"), ("ocr", "left a an and")]
STEPS, BATCH, RATE = 6, 2, 1e-4  # larger steps part float32 from float64: attention peaks here


def inputs(model, pieces, examples, dtype):
    """As the processor has them, but padded on the right, where nothing sees it."""
    side = model.config.vision_config.image_size
    rows, labels, types = [], [], []
    for _, prefix, suffix in examples:
        before = reference.prompt_ids(model.config, pieces, prefix)
        after = pieces.encode(suffix) + [1]
        rows.append(before + after)
        labels.append([-100] * len(before) + after)
        types.append([0] * len(before) + [1] * len(after))
    length = max(map(len, rows))

    def padded(lists, fill):
        return torch.tensor([row + [fill] * (length - len(row)) for row in lists])

    pixels = [torch.from_numpy(reference.pixels(picture, side, 0)).permute(2, 0, 1)
              for picture, _, _ in examples]
    return dict(
        input_ids=padded(rows, 0), attention_mask=padded([[1] * len(row) for row in rows], 0),
        token_type_ids=padded(types, 0), labels=padded(labels, -100),
        pixel_values=torch.stack(pixels).to(dtype))


def train(model, pieces, examples, dtype):
    """The gradients of the first step, and all losses and norms."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    gradients, losses, norms = {}, [], []
    model.train()
    with torch.enable_grad():
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        for step in range(STEPS):
            chosen = [examples[(BATCH * step + k) % len(examples)] for k in range(BATCH)]
            loss = model(**inputs(model, pieces, chosen, dtype)).loss
            optimizer.zero_grad()
            loss.backward()
            found = {name: p.grad for name, p in model.named_parameters()}
            if step == 0:
                gradients = {name: g.clone() for name, g in found.items()}
            losses.append(loss.item())
            norms.append(torch.nn.utils.get_total_norm(list(found.values())).item())
            optimizer.step()
    return gradients, losses, norms


def stored_name(name):
    """As in files that transformers 5 writes."""
    name = name.removeprefix("model.").replace("language_model.", "language_model.model.")
    return name.replace("vision_tower.vision_model.", "vision_tower.")


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
            examples.append((turned, prefix, suffix))
            lines.write(json.dumps(dict(image=f"{i}.png", prefix=prefix, suffix=suffix)) + "\n")
    with reference.double_precision():
        gradients, losses, norms = train(double, pieces, examples, torch.float64)
    again, single_losses, single_norms = train(single, pieces, examples, torch.float32)
    largest = max(float(g.abs().max()) for g in gradients.values())
    vanishing = {name for name, g in gradients.items() if g.abs().max() < 1e-9 * largest}
    assert all(name.endswith("k_proj.bias") for name in vanishing)  # it moves all scores of a query alike
    worst = max(float((again[name] - g).abs().max() / g.abs().max())
                for name, g in gradients.items() if name not in vanishing)
    apart = max(abs(a - b) / b for a, b in zip(single_losses + single_norms, losses + norms))
    assert worst < 1e-4 and apart < 3e-4, (worst, apart)
    save_file({stored_name(name): g.float().contiguous() for name, g in gradients.items()},
              out / "gradients.safetensors")
    reference.write_json(out / "steps.json", dict(losses=losses, grad_norms=norms))
    print(folder.name, len(gradients), "gradients, losses", [round(x, 4) for x in losses],
          "float32 is within", worst, "and", apart)


if __name__ == "__main__":
    for version in (1, 2):
        make(HERE / f"paligemma{version}")
