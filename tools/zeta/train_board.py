#!/usr/bin/env python3
"""Trains models/palme: a PalmE that reads a board of noughts and crosses, by x-transformers' own classes.

  cmake --build --preset cpu --target board_examples
  python3 -m venv venv
  venv/bin/pip install torch==2.13.0 numpy==2.4.6 einops==0.8.1 packaging==26.4 pillow==13.0.0
  venv/bin/pip install --no-deps x-transformers==1.19.0
  venv/bin/python tools/zeta/train_board.py train --out DIR      # goes on from DIR/board.pt
  venv/bin/python tools/zeta/train_board.py evaluate --out DIR   # 500 boards of the test split, world/boards, maps
  venv/bin/python tools/zeta/train_board.py export --out DIR     # writes models/palme

x-transformers 1.19.0 is zeta's code (docs/palme_board.md says how this model learns, and what it reads).
"""
import argparse
import copy
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from x_transformers import Decoder, Encoder, TransformerWrapper, ViTransformerWrapper
from x_transformers.autoregressive_wrapper import AutoregressiveWrapper

from boards import CELLS, END, ROOT, START, VOCABULARY, Pool, boards, drawn_elsewhere, pixels, tensors
from export import export

SHAPE = dict(image_size=48, patch_size=8, encoder_dim=64, encoder_depth=2, encoder_heads=2, num_tokens=8,
             max_seq_len=16, decoder_dim=64, decoder_depth=2, decoder_heads=2, alibi_num_heads=1)
WINNER_WEIGHT = 2.0
SAVE_EVERY, LOG_EVERY, EVALUATE_EVERY = 120, 50, 500  # seconds, steps, steps


class Palme(torch.nn.Module):
    """As zeta puts its PalmE together."""

    def __init__(self, image_size, patch_size, encoder_dim, encoder_depth, encoder_heads, num_tokens, max_seq_len,
                 decoder_dim, decoder_depth, decoder_heads, alibi_num_heads):
        super().__init__()
        self.encoder = ViTransformerWrapper(
            image_size=image_size, patch_size=patch_size,
            attn_layers=Encoder(dim=encoder_dim, depth=encoder_depth, heads=encoder_heads))
        self.decoder = AutoregressiveWrapper(TransformerWrapper(
            num_tokens=num_tokens, max_seq_len=max_seq_len, use_abs_pos_emb=False,
            attn_layers=Decoder(dim=decoder_dim, depth=decoder_depth, heads=decoder_heads, cross_attend=True,
                                alibi_pos_bias=True, alibi_num_heads=alibi_num_heads, rotary_xpos=True,
                                attn_flash=True)))


class Trainee(torch.nn.Module):
    """With a head that is asked, in training only, what lies under each patch: which cell, which mark."""

    def __init__(self):
        super().__init__()
        self.palme = Palme(**SHAPE)
        self.patches = torch.nn.Linear(SHAPE["encoder_dim"], CELLS + 1 + 3)

    def losses(self, pictures, words, patches):
        seen = self.palme.encoder(pictures, return_embeddings=True)
        logits = self.palme.decoder.net(words[:, :-1], context=seen)
        loss = F.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten(), reduction="none")
        loss = loss.view(len(words), -1) * WORD_WEIGHTS
        guess = self.patches(seen).flatten(0, 1)
        place = F.cross_entropy(guess[:, :CELLS + 1], patches.flatten())
        cells = torch.cat((words[:, 1:CELLS + 1], torch.zeros(len(words), 1, dtype=torch.long)), 1)
        mark = F.cross_entropy(guess[:, CELLS + 1:], cells.gather(1, patches).flatten())
        return loss.sum() / (len(words) * WORD_WEIGHTS.sum()), place, mark


WORD_WEIGHTS = torch.tensor([1.0] * CELLS + [WINNER_WEIGHT, 0.2])


# ---- training

def optimizers(model):
    """Muon for the matrices between rows, AdamW for all else."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        between = p.ndim == 2 and ("attn_layers" in name or "patch_to_embedding" in name)
        (matrices if between else others).append(p)
    return [torch.optim.Muon(matrices, lr=0.02, weight_decay=0.01),
            torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)]


def train(options):
    torch.manual_seed(0)
    model, path = Trainee(), options.out / "board.pt"
    average, found, first, seconds = copy.deepcopy(model), optimizers(model), 0, 0.0
    if path.exists():
        state = torch.load(path)
        first, seconds = state["step"], state["seconds"]
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        for optimizer, saved in zip(found, state["optimizers"]):
            optimizer.load_state_dict(saved)
    held = boards(options.examples, "val", 0, 256)
    pool, began, saved, running = Pool(options.examples), time.process_time(), time.time(), np.zeros(3)
    for step in range(first, options.steps):
        rate = min(1, (step + 1) / 100, (1 - step / options.steps) / (1 - options.flat) * 0.98 + 0.02)
        for optimizer, peak in zip(found, (0.02, 3e-3)):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
        losses = model.losses(*pool.batch(step))
        (losses[0] + options.patches * (losses[1] + losses[2])).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in found:
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            keep = min(0.998, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        running += [loss.item() / LOG_EVERY for loss in losses]
        done, spent = step + 1, seconds + time.process_time() - began
        if done % LOG_EVERY == 0:
            log(options, f"step {done:5d}  {spent:5.0f} s  words %.4f  place %.4f  mark %.4f" % tuple(running))
            running[:] = 0
        if done % EVALUATE_EVERY == 0 or done == options.steps:
            log(options, f"step {done:5d}  {spent:5.0f} s  val  {told(evaluate(average.palme, *held))}")
        if time.time() - saved > SAVE_EVERY or done == options.steps:
            state = dict(step=done, seconds=spent, model=model.state_dict(), average=average.state_dict(),
                         optimizers=[o.state_dict() for o in found])
            torch.save(state, path.with_suffix(".new"))
            os.replace(path.with_suffix(".new"), path)
            saved = time.time()


def log(options, line):
    print(line, flush=True)
    with (options.out / "log.txt").open("a") as file:
        file.write(line + "\n")


# ---- what it reads, and where it looks

def attention(palme):
    return [block for _, block, _ in palme.decoder.net.attn_layers.layers if hasattr(block, "attend")]


@torch.no_grad()
def read(palme, pictures):
    """The ids that it says, greedily [n, 12], the weights of the last cross-attention at each [n, 11, 36], the mean
    over heads, and by how much the likeliest word was ahead of the second at the least certain of them [n]."""
    for block in attention(palme):
        block.attend.flash = False  # the same numbers, and maps
    palme.eval()
    seen, ids = palme.encoder(pictures, return_embeddings=True), torch.full((len(pictures), 1), START)
    ahead = torch.full((len(pictures),), torch.inf)
    for _ in range(CELLS + 2):
        logits, maps = palme.decoder.net(ids, context=seen, return_attn=True)
        best, second = logits[:, -1].topk(2).values.unbind(1)
        ahead = torch.minimum(ahead, best - second)
        ids = torch.cat((ids, logits[:, -1:].argmax(-1)), 1)
    return ids, maps[-1].mean(1), ahead


def evaluate(palme, words, patches, pictures):
    pictures, words, patches = tensors(words, patches, pictures)
    ids, maps, _ = read(palme, pictures)
    right = ids[:, 1:] == words[:, 1:]
    lit = patches.gather(1, maps[:, :CELLS].argmax(-1)) == torch.arange(CELLS)
    return dict(cells=right[:, :CELLS], boards=right[:, :CELLS].all(1), winner=right[:, CELLS], lit=lit)


def texts(ids):
    """Without the ends."""
    return ["".join(VOCABULARY[i] for i in line if i not in (END, START)) for line in ids.tolist()]


def told(scores):
    return "  ".join(f"{name} {score.float().mean():.4f}" for name, score in scores.items())


def told_of_drawn(palme):
    """Beside each board of world/boards what is read on it."""
    lines = []
    cells, pictures = drawn_elsewhere()
    for board, said in zip(cells, texts(read(palme, pixels(pictures))[0])):
        lines.append(f"{board}  {said}  {sum(a == b for a, b in zip(board, said))} of 9")
    return "\n".join(lines)


def draw_maps(palme, pictures, path):
    """A row for each board: the picture, then what is lit as each of its cells is said."""
    _, maps, _ = read(palme, pixels(pictures))
    rows = []
    for picture, lit in zip(pictures, maps[:, :CELLS].reshape(-1, CELLS, 6, 6).numpy()):
        lit = np.kron(lit / lit.max((1, 2), keepdims=True), np.ones((8, 8)))[..., None]
        tiles = [picture, *(picture * (0.2 + 0.8 * lit))]
        rows.append(np.concatenate([np.pad(tile, ((1, 1), (1, 1), (0, 0))) for tile in tiles], 1))
    strips = np.kron(np.concatenate(rows), np.ones((2, 2, 1))).astype(np.uint8)
    Image.fromarray(strips).quantize(128).save(path, optimize=True)


def trained(options):
    model = Trainee()
    state = torch.load(options.out / "board.pt")
    model.load_state_dict(state["average"])
    print(f"after {state['step']} steps, {state['seconds']:.0f} seconds of one core")
    return model.palme


def rounded(palme):
    """With weights that fit in bfloat16, as they are kept."""
    for p in palme.parameters():
        p.data = p.data.bfloat16().float()
    return palme


def write_model(options):
    palme = trained(options)
    # What torch says about the first boards of the test split, for the tests.
    ids, _, ahead = read(rounded(palme), pixels(boards(options.examples, "test", 0, 64)[2]))
    for block in attention(palme):
        block.attend.flash = True
    for p in palme.parameters():
        p.data = p.data.bfloat16()
    export(palme, options.model, vocabulary=VOCABULARY, start_tokens=[START], eos_token=END)
    lines = [f"{said} {margin:.3f}\n" for said, margin in zip(texts(ids), ahead.tolist())]
    (options.model / "words.txt").write_text("".join(lines))
    (options.model / "log.txt").write_text((options.out / "log.txt").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "evaluate", "export"])
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and the log")
    parser.add_argument("--examples", default=ROOT / "build/cpu/board_examples", help="the program that draws boards")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--flat", type=float, default=0.4, help="share of the steps before the rate falls")
    parser.add_argument("--patches", type=float, default=0.5, help="weight of what lies under the patches")
    parser.add_argument("--model", type=Path, default=ROOT / "models/palme")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "train":
        train(options)
    elif options.what == "export":
        write_model(options)
    else:
        palme = rounded(trained(options))
        print(told(evaluate(palme, *boards(options.examples, "test", 0, 500))))
        print(told_of_drawn(palme))
        draw_maps(palme, boards(options.examples, "test", 0, 4)[2], options.out / "maps.png")


if __name__ == "__main__":
    main()
