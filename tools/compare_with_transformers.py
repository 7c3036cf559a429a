"""Compares the program with transformers over many random checkpoints: every tap, every token.

    python tools/compare_with_transformers.py -n 40 -- --reference

Each checkpoint has other sizes, settings, dtypes, tensor names and files; what follows `--` goes to
the program. A tap may be off by 1e-4 of its largest magnitude, the greedy tokens must be the same;
where transformers' own first two tokens are closer than 1e-3, the other choice is reported, not
failed. Exits 1 on any mismatch. Needs what tests/golden/README.md installs.

`--only-reference` runs transformers alone, in float32 and float64: it shows that the checkpoints
are well conditioned, and how much of the bound transformers' own rounding takes.
"""
import argparse
import functools
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import PaliGemmaForConditionalGeneration

import transformers_reference as reference
from transformers_reference import make_tokenizer

BOUND = 1e-4  # of a tap's largest magnitude
TIE = 1e-3    # a lead of the first token that rounding may turn over
STEPS = 24
TANH = "gelu_pytorch_tanh"
PROMPTS = [
    "", "caption en", "detect small red star ; ring", "answer en What colour is the large ring?",
    "two  spaces,   three and\na line\n\n\nof its own\n", "<loc0012><loc0345><loc1023><loc0001> ?",
    "Größe 生活 😈 é", " leading and trailing ", "x",
]


class Decks:
    """Draws that cover: every option of a name comes up before any comes again."""

    def __init__(self, rng):
        self.rng, self.left = rng, {}

    def __call__(self, name, *options):
        deck = self.left.setdefault(name, [])
        if not deck:
            deck.extend(self.rng.sample(options, len(options)))
        return deck.pop()


def draw(pick, rng):
    """One checkpoint and what it is asked, as plain settings."""
    heads = pick("vision heads", 1, 2, 3, 4, 5)
    patch = pick("patch", 2, 3, 5, 7, 8, 14)
    image = patch * pick("grid", 1, 2, 3, 4, 5, 6) + pick("rest", 0, 0, 1) * rng.randrange(patch)
    vision = dict(
        image_size=image, patch_size=patch, num_attention_heads=heads,
        hidden_size=heads * rng.choice([5, 8, 12, 20]), intermediate_size=rng.randint(9, 150),
        num_hidden_layers=pick("vision layers", 1, 2, 3), vision_use_head=pick("head", False, True),
        hidden_act=pick("vision gelu", TANH, "gelu"), layer_norm_eps=pick("ln eps", 1e-6, 1e-4))

    second = pick("version", False, True)
    kv_heads = pick("kv heads", 1, 2, 3)
    heads = kv_heads * pick("heads per kv head", 1, 2, 3, 4)
    head_dim = pick("head_dim", 4, 6, 10, 16, 32)
    hidden = rng.randint(20, 120)
    if second:
        hidden += -hidden % heads  # transformers insists
    pieces = pick("trained pieces", 500, 638, 1000) + 1152
    text = dict(
        model_type="gemma2" if second else "gemma", hidden_size=hidden, num_attention_heads=heads,
        num_key_value_heads=kv_heads, head_dim=head_dim, intermediate_size=rng.randint(9, 150),
        num_hidden_layers=pick("text layers", 1, 2, 3, 4), rms_norm_eps=pick("rms eps", 1e-6, 1e-4),
        vocab_size=pieces + pick("rows past the pieces", 0, 1, 64),
        rope_parameters=dict(rope_type="default", rope_theta=pick("theta", 1e4, 500.0)))
    if second:
        layers = text["num_hidden_layers"]
        either = rng.choices(["full_attention", "sliding_attention"], k=layers)
        types = pick("layers", "rule", "full", "any")
        types = dict(rule=None, full=["full_attention"] * layers, any=either)[types]
        text |= dict(
            hidden_activation=pick("gemma2 gelu", TANH, "gelu"), layer_types=types,
            query_pre_attn_scalar=pick("scalar", head_dim, hidden // heads, 144),
            sliding_window=pick("window", 2, 9, 23, 4096),
            attn_logit_softcapping=pick("attention cap", None, 50.0, 5.0),
            final_logit_softcapping=pick("final cap", None, 30.0, 12.0))
    return dict(
        vision=vision, text=text, pieces=pieces, seed=rng.randrange(2**32),
        tied=pick("tied", True, True, False), names=pick("names", 1, 2, 3),
        dtype=pick("dtype", "float32", "bfloat16", "float16"),
        shard=pick("shards", None, "100KB"), old_config=pick("config", False, True),
        stop_early=pick("stop", False, False, True), resample=pick("resample", 2, 3),
        prompt=pick("prompt", *PROMPTS), mode=pick("mode", "RGB", "L", "RGBA"),
        picture=(rng.randint(3, 150), rng.randint(3, 150)))


@functools.cache
def tokenizer(trained):
    return make_tokenizer.train(make_tokenizer.corpus(), trained)


def picture(size, mode, seed):
    """Smooth colours with some noise, so that resizing has something to do."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, len(mode)), np.uint8).squeeze(), mode)
    fine = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int64)
    noisy = np.clip(fine + rng.integers(-40, 41, fine.shape), 0, 255)
    return Image.fromarray(noisy.astype(np.uint8), mode)


def renamed(name, generation):
    """A tensor's name as older releases wrote it; 3 is what the pinned one writes."""
    if generation < 3:
        name = re.sub(r"^vision_tower\.", "vision_tower.vision_model.", name)
    if generation == 2:
        name = re.sub(r"^language_model\.lm_head", "lm_head", name)
        name = re.sub(r"^language_model\.model", "language_model", name)
        name = name if name.startswith("lm_head") else "model." + name
    return name


def rename_tensors(folder, generation):
    for file in folder.glob("*.safetensors"):
        tensors = {renamed(name, generation): tensor for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata=dict(format="pt"))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        value = json.loads(index.read_text())
        value["weight_map"] = {renamed(n, generation): f for n, f in value["weight_map"].items()}
        reference.write_json(index, value)


def age_config(folder, settings):
    """config.json with the words of older releases, and without what follows from defaults."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text, vision = config["text_config"], config["vision_config"]
    config["torch_dtype"] = config.pop("dtype")
    text["rope_theta"] = text.pop("rope_parameters")["rope_theta"]
    if text["model_type"] == "gemma":
        text["hidden_act"] = "gelu"  # a legacy of the first Gemma files: it means the tanh form
    else:
        text["hidden_act"] = TANH    # beside hidden_activation, which is the one that counts
        if settings["text"]["layer_types"] is None:
            del text["layer_types"]
    defaults = dict(
        rms_norm_eps=1e-6, layer_norm_eps=1e-6, attention_bias=False, attention_dropout=0.0,
        max_position_embeddings=8192, num_channels=3, tie_word_embeddings=True, rope_theta=1e4,
        use_bidirectional_attention=True, initializer_range=0.02, use_cache=True)
    for part in (config, text, vision):
        for key in [key for key, value in defaults.items() if part.get(key) == value]:
            del part[key]
    if vision["hidden_act"] == TANH:
        del vision["hidden_act"]
    config["hidden_size"] = 2048  # stale in published files
    reference.write_json(path, config)


def sharp(model, seed):
    reference.randomise(model, seed, sharpness=1.5)


def write(settings, folder, fill=sharp):
    """The checkpoint and picture.png; returns the prompt's ids."""
    pieces = settings["pieces"]
    config = reference.config(settings["vision"], settings["text"], image_token=pieces)
    config.tie_word_embeddings = settings["tied"]
    model = PaliGemmaForConditionalGeneration(config)
    fill(model, settings["seed"])
    shard = dict(max_shard_size=settings["shard"]) if settings["shard"] else {}
    tokens = tokenizer(pieces - 1152)
    reference.write_checkpoint(
        model, folder, tokens, settings["resample"], getattr(torch, settings["dtype"]), **shard)
    rename_tensors(folder, settings["names"])
    if settings["old_config"]:
        age_config(folder, settings)
    image = picture(settings["picture"], settings["mode"], settings["seed"])
    image.save(folder / "picture.png")
    ids = reference.prompt_ids(config, make_tokenizer.load(tokens), settings["prompt"])
    if settings["stop_early"]:  # a second eos, which the text reaches
        said = said_by_transformers(folder, settings, ids)[1]
        path = folder / "generation_config.json"
        stops = json.loads(path.read_text()) | dict(eos_token_id=[1, said[len(said) // 2]])
        reference.write_json(path, stops)
    return ids


def said_by_transformers(folder, settings, ids):
    model = reference.load(folder)
    image = Image.open(folder / "picture.png")
    size = settings["vision"]["image_size"]
    return reference.run(model, reference.pixels(image, size, settings["resample"]), ids, STEPS)


def run(command):
    """What the program prints; RuntimeError with what it complains of."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def said_by_program(binary, extra, folder, settings):
    out = folder / "taps"
    shutil.rmtree(out, ignore_errors=True)
    command = [binary, "-m", folder, "--image", folder / "picture.png", "-p", settings["prompt"],
               "-n", str(STEPS), "--json", "--dump", out, *extra]
    ids = [token["id"] for token in json.loads(run(command))["tokens"]]
    taps = {str(file.relative_to(out).with_suffix("")): np.load(file)
            for file in out.rglob("*.npy")}
    return taps, ids


def compare_ids(logits, said, ids):
    """(how many rows of logits are of the same text, faults, notes)."""
    for step, (expected, found) in enumerate(zip(said, ids)):
        if expected != found:
            lead = reference.gaps(logits)[step]
            what = [f"token {step} is {found}, not {expected} (which leads by {lead:.1e})"]
            return step + 1, [] if lead < TIE else what, what if lead < TIE else []
    return len(said), [f"{len(ids)} tokens, not {len(said)}"] * (len(ids) != len(said)), []


def compare(expected, said, taps, ids):
    """(worst share, its tap, faults, notes)."""
    rows, faults, notes = compare_ids(expected["logits"], said, ids)
    shares = {"": 0.0}
    for name, tap in expected.items():
        if name not in taps:
            faults.append(f"{name} is missing")
            continue
        mine = taps[name]
        if name == "logits":
            tap, mine = tap[:rows], mine[:rows]
        if mine.shape != tap.shape:
            faults.append(f"{name} is {mine.shape}, not {tap.shape}")
            continue
        shares[name] = float(np.abs(mine - tap).max() / np.abs(tap).max())
        if not shares[name] <= BOUND:  # nor NaN
            faults.append(f"{name} is off by {shares[name]:.1e}")
    worst = max(shares, key=shares.get)
    return shares[worst], worst, faults, notes


def describe(settings):
    v, t = settings["vision"], settings["text"]
    second = t["model_type"] == "gemma2"
    gelu = lambda name: "tanh" if name == TANH else "erf"
    types = "".join(name[0] for name in t["layer_types"]) if t.get("layer_types") else "rule"
    parts = [
        f"paligemma{1 + second}",
        f"{v['image_size']}/{v['patch_size']} {v['hidden_size']}x{v['num_hidden_layers']} "
        f"{v['num_attention_heads']}h {gelu(v['hidden_act'])}",
        f"{t['hidden_size']}x{t['num_hidden_layers']} {t['num_attention_heads']}/"
        f"{t['num_key_value_heads']}x{t['head_dim']} {gelu(t.get('hidden_activation', TANH))}",
        f"{settings['pieces']}+{t['vocab_size'] - settings['pieces']}",
        settings["dtype"] + (" sharded" if settings["shard"] else ""),
        f"names {settings['names']}" + (" old config" if settings["old_config"] else ""),
        "tied" if settings["tied"] else "lm_head"]
    if second:
        parts.append(f"caps {t['attn_logit_softcapping']} {t['final_logit_softcapping']} "
                     f"window {t['sliding_window']} {types}")
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=40, help="how many checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="this checkpoint of the n alone")
    parser.add_argument("--binary", type=Path, default=Path("build/cpu/paligemma"))
    parser.add_argument("--keep", type=Path, help="write the checkpoints here, and leave them")
    parser.add_argument("--only-reference", action="store_true")
    parser.add_argument("extra", nargs="*", help="further arguments of the program, after --")
    arguments = parser.parse_args()
    if not (arguments.only_reference or arguments.binary.exists()):
        parser.error(f"{arguments.binary} is not there: build it, or give --binary")

    rng = random.Random(arguments.seed)
    pick = Decks(rng)
    drawn = [draw(pick, rng) for _ in range(arguments.n)]
    chosen = range(arguments.n) if arguments.only is None else [arguments.only]
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for i in chosen:
            settings, folder = drawn[i], (arguments.keep or Path(scratch)) / f"{i:03d}"
            ids = write(settings, folder)
            if arguments.only_reference:
                (taps, mine), (expected, said) = reference.run_both(
                    folder, Image.open(folder / "picture.png"), settings["resample"], ids, STEPS)
            else:
                expected, said = said_by_transformers(folder, settings, ids)
                try:
                    taps, mine = said_by_program(
                        arguments.binary, arguments.extra, folder, settings)
                except (RuntimeError, OSError, ValueError, KeyError,
                        subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"{i:3} FAIL {error!r} | {describe(settings)}", flush=True)
                    continue
            share, worst, faults, notes = compare(expected, said, taps, mine)
            failed += bool(faults)
            lead = reference.gaps(expected["logits"]).min()
            print(f"{i:3} {'FAIL' if faults else 'ok':4} {share:.1e} {worst:27} {len(ids):3} ids, "
                  f"{len(set(said)):2} different of {len(said):2}, lead {lead:.0e} | "
                  f"{describe(settings)}", flush=True)
            for line in [f"differs: {f}" for f in faults] + [f"close: {n}" for n in notes]:
                print(f"         {line}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} agree")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
