"""What torch makes of a model of transformers when it learns as `paligemma finetune` does.

tests/golden/make_training_golden.py and compare_training.py share it. An example is its pictures, a prefix and a
suffix. The loss of a step is the mean over all tokens of all its suffixes, and their ends.
"""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import get_scheduler
from transformers.trainer_pt_utils import LabelSmoother

sys.path.append(str(Path(__file__).parent))
import transformers_reference as reference


@dataclass
class Recipe:
    """How a model learns, in the words of `finetune`: a field is the flag of that name."""
    steps: int = 6
    batch: int = 2
    accumulate: int = 1
    lr: float = 1e-3
    schedule: str = "constant"
    warmup: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    no_decay: str = ""
    clip: float = 0.0
    label_smoothing: float = 0.0
    freeze: str = ""

    def flags(self):
        return [part for name, value in vars(self).items() if value != ""
                for part in ("--" + name.replace("_", "-"), str(value))]

    def described(self):
        usual = vars(type(self)())
        return ", ".join(f"{name} {value}" for name, value in vars(self).items() if value != usual[name])


def stored_name(name):
    """As in files that transformers 5 writes."""
    name = name.removeprefix("model.").replace("language_model.", "language_model.model.")
    return name.replace("vision_tower.vision_model.", "vision_tower.")


def inputs(model, pieces, examples, dtype, resample):
    """As the processor has them, but padded on the right, where nothing sees it."""
    side = model.config.vision_config.image_size
    rows, labels, types = [], [], []
    for pictures, prefix, suffix in examples:
        before = reference.prompt_ids(model.config, pieces, prefix, len(pictures))
        after = pieces.encode(suffix) + [1]
        rows.append(before + after)
        labels.append([-100] * len(before) + after)
        types.append([0] * len(before) + [1] * len(after))
    length = max(map(len, rows))

    def padded(lists, fill):
        return torch.tensor([row + [fill] * (length - len(row)) for row in lists])

    pixels = [torch.from_numpy(reference.pixels(picture, side, resample)).permute(2, 0, 1)
              for pictures, _, _ in examples for picture in pictures]
    return dict(
        input_ids=padded(rows, 0), attention_mask=padded([[1] * len(row) for row in rows], 0),
        token_type_ids=padded(types, 0), labels=padded(labels, -100),
        pixel_values=torch.stack(pixels).to(dtype))


def choose(model, freeze):
    """All of a model learns, but for the tensors whose names hold this expression."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not (freeze and re.search(freeze, stored_name(name))))


def optimizer_of(recipe, learned):
    def decays(name):
        return not (recipe.no_decay and re.search(recipe.no_decay, stored_name(name)))

    groups = [dict(params=[p for name, p in learned.items() if decays(name) == some],
                   weight_decay=recipe.weight_decay if some else 0.0) for some in (True, False)]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9)
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.999), eps=1e-8)


def train(model, pieces, examples, recipe, dtype, resample=0):
    """The gradients of the first step, and all losses, norms and rates; of what requires a gradient."""
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = optimizer_of(recipe, learned)
    schedule = {"rsqrt": "inverse_sqrt"}.get(recipe.schedule, recipe.schedule)
    timescale = dict(scheduler_specific_kwargs=dict(timescale=10000)) if schedule == "inverse_sqrt" else {}
    scheduler = get_scheduler(
        "constant_with_warmup" if schedule == "constant" else schedule, optimizer,
        num_warmup_steps=recipe.warmup, num_training_steps=recipe.steps, **timescale)
    smoother = LabelSmoother(recipe.label_smoothing) if recipe.label_smoothing else None
    gradients, losses, norms, rates = {}, [], [], []
    model.train()
    with torch.enable_grad():
        for step in range(recipe.steps):
            at_once = recipe.batch * recipe.accumulate
            chosen = [examples[(at_once * step + k) % len(examples)] for k in range(at_once)]
            tokens = sum(len(pieces.encode(suffix)) + 1 for _, _, suffix in chosen)
            optimizer.zero_grad()
            loss = 0
            for first in range(0, at_once, recipe.batch):
                given = inputs(model, pieces, chosen[first:first + recipe.batch], dtype, resample)
                out = model(**given, num_items_in_batch=tokens)
                part = out.loss if smoother is None else smoother(
                    out, given["labels"], shift_labels=True, num_items_in_batch=tokens)
                part.backward()
                loss += part.item()
            found = {name: p.grad for name, p in learned.items() if p.grad is not None}
            if step == 0:
                gradients = {name: g.clone() for name, g in found.items()}
            losses.append(loss)
            if recipe.clip:
                norm = torch.nn.utils.clip_grad_norm_(list(learned.values()), recipe.clip)
            else:
                norm = torch.nn.utils.get_total_norm(list(found.values()))
            norms.append(norm.item())
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
    model.eval()
    return gradients, losses, norms, rates
