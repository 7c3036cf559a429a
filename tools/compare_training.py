"""Compares `finetune` with transformers, torch and PEFT over many random checkpoints: losses, norms, what is written.

    python tools/compare_training.py -n 60 -- --reference

The checkpoints are those of compare_with_transformers.py with gentler weights, which float32 can follow for some
steps. Three kinds of cases come in turn:

    whole   all weights learn by AdamW
    lora    an adapter learns; PEFT begins with what `--lr 0` wrote
    flags   other optimisers, schedules, frozen tensors and so on, at once

Losses and norms of six steps may be off by 1e-3 of themselves, each written tensor by 3e-3 of its way, and the greedy
ids that follow must be the same, here and there, unless a lead is below 1e-3. Where float32 and float64 of torch itself
differ by a third of that, the case is passed over. Exits 1 on any mismatch. Needs what tests/golden/README.md installs.
"""
import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file

import compare_with_transformers as checkpoints
import training_reference as training
import transformers_reference as reference
from compare_adapters import said_by_program
from transformers_reference import make_tokenizer

BOUND = 1e-3  # of a loss or a norm
SHARE = 3e-3  # of what a tensor has moved
STEPS = 10    # of greedy decoding
KINDS = ("whole", "lora", "flags")
TARGETS = ("", "q_proj,v_proj", "all-linear", r".*\.layers\.0\..*(k_proj|fc1|down_proj)", "fc2,linear,self_attn.o_proj",
           "up_proj,lm_head")
LANGUAGE = r".*language_model\..*\.(q|k|v|o|gate|up|down)_proj"  # where nothing is said
SUFFIXES = ("red", "", "<loc0100><loc0200><loc0300><loc0400> house ; <loc0001><loc0002><loc0003><loc0004> star",
            "two boats\nnear the river", " leading and trailing ", "Größe 生活 😈 é", "no")


# ---- a case

def weights_of(kind):
    """As transformers begins; larger and off the neutral values; or as random as they are elsewhere, but flatter."""
    def fill(model, seed):
        rng = torch.Generator().manual_seed(seed)
        if kind == "flat":
            reference.randomise(model, seed, sharpness=0.7, writing=0.7)
        elif kind == "noisy":
            for weight in model.parameters():
                noise = torch.randn(weight.shape, generator=rng)
                weight.add_(noise * (0.1 if weight.dim() == 1 else 0.02))
    return fill


def draw(pick, kind):
    """Settings, and what is learned how."""
    settings = checkpoints.draw(pick, pick.rng)
    settings |= dict(stop_early=False, weights=pick("weights", "begun", "noisy", "flat"))
    recipe = training.Recipe()
    if kind == "flags":
        optimizer = pick("optimizer", "adamw", "sgd")
        at_once, accumulate = pick("batches", (1, 2), (2, 1), (2, 2), (1, 3))
        recipe = training.Recipe(
            batch=at_once, accumulate=accumulate, schedule=pick("schedule", "cosine", "linear", "constant", "rsqrt"),
            warmup=pick("warmup", 0, 2, 3), optimizer=optimizer, lr=0.03 if optimizer == "sgd" else 1e-3,
            clip=pick("clip", 0.0, 1.0, 0.1),
            weight_decay=pick("decay", 0.01, 0.0, 3.0), no_decay=pick("no decay", "", "bias|norm", "embed"),
            label_smoothing=pick("smoothing", 0.0, 0.1),
            freeze=pick("freeze", "", "vision_tower|multi_modal_projector", "embed_tokens", r"layers\.0\.|norm"))
    lora = []
    if kind == "lora":
        recipe, targets = training.Recipe(lr=1e-2), pick("targets", *TARGETS)
        lora = ["--lora", str(pick("rank", 4, 1, 3)), "--lora-alpha", str(pick("alpha", 8, 4, 2.5)),
                *(["--lora-targets", targets] if targets else [])]
    lines = [dict(prefix=pick("prompt", *checkpoints.PROMPTS), suffix=pick("suffix", *SUFFIXES),
                  modes=[pick("mode", "RGB", "L", "RGBA") for _ in range(pick("pictures", 1, 1, 1, 2))],
                  size=(pick.rng.randint(3, 150), pick.rng.randint(3, 150))) for _ in range(5)]
    return SimpleNamespace(kind=kind, settings=settings, recipe=recipe, lora=lora, lines=lines)


def write(case, folder):
    """The checkpoint, pictures and lines.jsonl; the examples are the case's."""
    torch.manual_seed(case.settings["seed"])
    case.folder, case.data, case.examples = folder / "model", folder / "lines.jsonl", []
    checkpoints.write(case.settings, case.folder, weights_of(case.settings["weights"]))
    with open(case.data, "w") as file:
        for i, line in enumerate(case.lines):
            names = [f"{i}_{k}.png" for k in range(len(line["modes"]))]
            for name, mode in zip(names, line["modes"]):
                checkpoints.picture(line["size"], mode, case.settings["seed"] + i).save(folder / name)
            images = dict(image=names[0]) if len(names) == 1 else dict(images=names)
            file.write(json.dumps(images | dict(prefix=line["prefix"], suffix=line["suffix"])) + "\n")
            case.examples.append(([Image.open(folder / name) for name in names], line["prefix"], line["suffix"]))
    case.pieces = make_tokenizer.load((case.folder / "tokenizer.model").read_bytes())


# ---- both sides

class Program:
    def __init__(self, binary, extra):
        self.binary, self.extra = binary, extra

    def learn(self, case, out, recipe=None):
        """(losses, norms, rates) of the log. Beside an adapter weights stay in the file's type, unless told."""
        log = out.with_suffix(".jsonl")
        checkpoints.run([self.binary, "finetune", "-m", case.folder, "--data", case.data, "--out", out, "--log", log,
                         "--shuffle", "false", "--dtype", "f32", *(recipe or case.recipe).flags(), *case.lora,
                         *self.extra])
        steps = [json.loads(line) for line in log.read_text().splitlines()]
        return [[step[name] for step in steps] for name in ("loss", "grad_norm", "lr")]

    def says(self, case, model, *flags):
        asked = case.folder / "picture.png", case.settings["prompt"]
        return said_by_program(self.binary, self.extra, model, *asked, *flags)


def learn(case, model, dtype):
    return training.train(model, case.pieces, case.examples, case.recipe, dtype, case.settings["resample"])[1:]


def says(case, model):
    """(logits, greedy ids) of transformers, or of what PEFT has around it."""
    picture, side = Image.open(case.folder / "picture.png"), model.config.vision_config.image_size
    ids = reference.prompt_ids(model.config, case.pieces, case.settings["prompt"])
    inner = model.base_model.model if isinstance(model, PeftModel) else model
    taps, said = reference.run(inner, reference.pixels(picture, side, case.settings["resample"]), ids, STEPS)
    return taps["logits"], said


def adapter_of(adapted):
    return get_peft_model_state_dict(adapted, save_embedding_layers=False)


class Verdict:
    def __init__(self):
        self.faults, self.notes, self.torch_losses = [], [], [0.0]
        self.loss = self.norm = self.weights = self.torch = 0.0

    def curves(self, found, single, double):
        """Whether float32 can follow at all; if so, whether the program does."""
        def apart(one, other):
            return max(abs(a - b) / max(abs(b), 1e-30) for a, b in zip(one, other, strict=True))
        self.torch_losses = double[0]
        self.loss, self.norm = (apart(found[k], double[k]) for k in (0, 1))
        self.torch = max(apart(single[0], double[0]), apart(single[1], double[1]))
        if any(abs(a - b) > 1e-9 for a, b in zip(found[2], single[2], strict=True)):
            self.faults.append(f"rates are {found[2]}, not {single[2]}")
        for k, what, share in ((0, "losses", self.loss), (1, "norms", self.norm)):
            if not share <= BOUND:
                self.faults.append(f"{what} are off by {share:.1e}: {found[k]}, not {double[k]}")
        return self.torch <= BOUND / 3

    def tensors(self, found, expected, begun):
        """What moved may be elsewhere by a share of its way; what did not, nowhere else.

        One number in a hundred, and one, is left out: rounding chooses Adam's direction where a gradient is nearly 0.
        """
        if found.keys() != expected.keys():
            self.faults.append(f"these are in one only: {sorted(found.keys() ^ expected.keys())}")
            return
        for name, tensor in found.items():
            if "vision" in name and name.endswith("k_proj.bias"):
                continue  # it moves all scores of a query alike: its gradient is rounding, which Adam makes steps of
            off, way = ((tensor - other[name]).abs().flatten() for other in (expected, begun))
            few = off.sort().values[:len(off) - 1 - len(off) // 100].mean()
            share = float(few) and float(few / way.mean().clamp(min=1e-30))
            self.weights = max(self.weights, share)
            if not share <= SHARE:
                self.faults.append(f"{name} is off by {share:.1e} of its way")

    def ids(self, who, expected, found):
        _, faults, notes = checkpoints.compare_ids(*expected, found)
        self.faults += [f"{who}: {fault}" for fault in faults]
        self.notes += [f"{who}: {note}" for note in notes]


def try_whole(case, program, out, verdict):
    found = program.learn(case, out)
    single = reference.load(case.folder)
    training.choose(single, case.recipe.freeze)
    with reference.double_precision():
        double = reference.in_double(single)
        training.choose(double, case.recipe.freeze)
        slow = learn(case, double, torch.float64)
    if not verdict.curves(found, learn(case, single, torch.float32), slow):
        return False
    reference.round_weights(single, getattr(torch, case.settings["dtype"]))  # what is written has the file's type
    written = reference.load(out)
    verdict.tensors(*(dict(model.named_parameters()) for model in (written, single, reference.load(case.folder))))
    said = says(case, written)
    verdict.ids("torch's model", says(case, single), said[1])
    verdict.ids("the program", said, program.says(case, out))
    return True


def try_lora(case, program, out, verdict):
    start, theirs = out.with_name("start"), out.with_name("theirs")
    program.learn(case, start, training.Recipe(lr=0, steps=1))
    found = program.learn(case, out)
    single = PeftModel.from_pretrained(reference.load(case.folder), start, is_trainable=True)
    targets = case.lora[5] if len(case.lora) > 5 else LANGUAGE
    config = LoraConfig(r=1, target_modules=targets.split(",") if "," in targets else targets)
    own = adapter_of(get_peft_model(reference.load(case.folder), config))
    own = {name for name in own if ".vision_tower.head." not in name}  # PaliGemma reads none of it
    if own != load_file(start / "adapter_model.safetensors").keys():
        verdict.faults.append(f"PEFT has other layers for {targets}")
    base = reference.load(case.folder)
    with reference.double_precision():
        double = get_peft_model(reference.in_double(base), single.peft_config["default"]).double()
        double.load_state_dict(single.state_dict())
        slow = learn(case, double, torch.float64)
    if not verdict.curves(found, learn(case, single, torch.float32), slow):
        return False
    written, begun = (load_file(folder / "adapter_model.safetensors") for folder in (out, start))
    verdict.tensors(written, adapter_of(single), begun)
    said = says(case, PeftModel.from_pretrained(reference.load(case.folder), out).eval())
    verdict.ids("torch's adapter", says(case, single), said[1])
    verdict.ids("the program", said, program.says(case, case.folder, "--adapter", out))
    single.save_pretrained(theirs, save_embedding_layers=False)
    verdict.ids("the program with PEFT's", says(case, single), program.says(case, case.folder, "--adapter", theirs))
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=30, help="how many checkpoints")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of these alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="this checkpoint of the n alone")
    parser.add_argument("--binary", type=Path, default=Path("build/cpu/paligemma"))
    parser.add_argument("extra", nargs="*", help="further arguments of the program, after --")
    arguments = parser.parse_args()
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is not there: build it, or give --binary")

    kinds = arguments.kind or KINDS
    pick = checkpoints.Decks(random.Random(arguments.seed))
    drawn = [draw(pick, kinds[i % len(kinds)]) for i in range(arguments.n)]
    count, worst = Counter(), Counter()
    for i in range(arguments.n) if arguments.only is None else [arguments.only]:
        case, verdict = drawn[i], Verdict()
        with tempfile.TemporaryDirectory() as scratch:
            write(case, Path(scratch))
            attempt = try_lora if case.kind == "lora" else try_whole
            try:
                is_fair = attempt(case, Program(arguments.binary, arguments.extra), Path(scratch) / "out", verdict)
            except (RuntimeError, AssertionError, OSError, ValueError, KeyError) as error:
                is_fair = True
                verdict.faults.append(repr(error))
        word = "hard" if not is_fair else "FAIL" if verdict.faults else "ok"
        count[word] += 1
        if is_fair:
            for what in ("loss", "norm", "weights"):
                worst[what] = max(worst[what], getattr(verdict, what))
        how = " ".join([case.recipe.described(), *case.lora]).strip()
        first, *_, last = verdict.torch_losses * 2
        print(f"{i:3} {word:4} {case.kind:5} {first:.2f} to {last:.2f}: loss {verdict.loss:.0e} "
              f"norm {verdict.norm:.0e} (torch {verdict.torch:.0e}) weights {verdict.weights:.0e} | "
              f"{case.settings['weights']} {how} | {checkpoints.describe(case.settings)}", flush=True)
        if is_fair:
            for line in [f"differs: {f}" for f in verdict.faults] + [f"close: {n}" for n in verdict.notes]:
                print(f"         {line}", flush=True)
    print(f"{count['ok']} agree, {count['FAIL']} differ, {count['hard']} are passed over; at worst losses are off by "
          f"{worst['loss']:.1e}, norms by {worst['norm']:.1e}, weights by {worst['weights']:.1e} of their way")
    sys.exit(count["FAIL"] > 0)


if __name__ == "__main__":
    main()
