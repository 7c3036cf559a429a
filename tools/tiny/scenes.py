"""Scenes of the tiny world as training reads them: from the C++ generator, through a pipe.

    python scenes.py --hashes           sha256 of the first 100 records of every split
    python scenes.py --look FOLDER      a few pictures as PNG, with what is asked about them
    python scenes.py --photos FOLDER    pictures of scikit-image as PNG, to be cut from for `--photos`

A record is: the length of the JSON that follows, in four bytes, little-endian; the JSON (seed,
objects, text, examples); the picture, IMAGE x IMAGE x 3 bytes; and for every object its mask, cut
out by its box and scaled to 64 x 64, a byte per pixel. Batch k of a stage always holds the same
scenes, so training can go on anywhere.
"""
import argparse
import hashlib
import json
import queue
import re
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "tokenizer"))
import make_tokenizer
from model import GRID, IMAGE, PATCH, TOKENS

GENERATOR = ROOT / "build" / "cpu" / "scene_examples"
SPLITS = ("train", "val", "test", "held-out")
SHAPES = "circle square triangle star heart cross".split()
COLORS = "red orange yellow green blue purple pink black".split()
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
CANVAS, MASK = 224, 64  # boxes are counted in units of the canvas
BOS, EOS = 2, 1


@dataclass
class Scene:
    record: bytes
    truth: dict
    picture: np.ndarray  # uint8 [IMAGE, IMAGE, 3]
    masks: np.ndarray  # uint8 [objects, MASK, MASK]


def scenes(split, first, count=None, examples=4, photos=None, texts=None, hard=False):
    """Scenes `first`, `first` + 1, ... of a split, `count` of them or without end."""
    command = [GENERATOR, "--split", split, "--first", str(first), "--size", str(IMAGE), "--examples", str(examples)]
    command += ["--count", str(count)] if count is not None else []
    command += ["--photos", photos] if photos else []
    command += ["--texts", str(texts)] if texts else []
    command += ["--hard"] if hard else []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            while head := process.stdout.read(4):
                text = process.stdout.read(struct.unpack("<I", head)[0])
                truth = json.loads(text)
                picture = process.stdout.read(IMAGE * IMAGE * 3)
                masks = process.stdout.read(len(truth["objects"]) * MASK * MASK)
                yield Scene(head + text + picture + masks, truth,
                            np.frombuffer(picture, np.uint8).reshape(IMAGE, IMAGE, 3),
                            np.frombuffer(masks, np.uint8).reshape(-1, MASK, MASK))
            if process.wait():
                raise RuntimeError(f"{GENERATOR} ended with {process.returncode}")
        finally:
            process.kill()


def ahead(iterator, depth=8):
    """The same items, made by another thread while this one computes. An exception comes through."""
    items, end = queue.Queue(depth), object()

    def work():
        try:
            for item in iterator:
                items.put(item)
            items.put(end)
        except BaseException as error:
            items.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (item := items.get()) is not end:
        if isinstance(item, BaseException):
            raise item
        yield item


# ---- what lies under every patch

@dataclass
class Dense:
    """For every patch of n pictures, [n, TOKENS, ...]: the nearest thing that touches it, if any."""
    shape: torch.Tensor  # len(SHAPES): none
    color: torch.Tensor
    box: torch.Tensor  # centre seen from the patch's centre, half height, half width; / BOX_UNIT pixels
    character: torch.Tensor  # len(CHARACTERS): none
    character_box: torch.Tensor


BOX_UNIT = IMAGE / 8


def nearest_boxes(boxes, width):
    """boxes: a list of lists. Which one each patch belongs to (-1: none), and the boxes as Dense has them."""
    edges = np.full((len(boxes), width, 4), -1e6, np.float32)
    for i, of_one in enumerate(boxes):
        edges[i, :len(of_one)] = np.array(of_one, np.float32).reshape(-1, 4) * (IMAGE / CANVAS)
    center, half = (edges[..., :2] + edges[..., 2:]) / 2, (edges[..., 2:] - edges[..., :2]) / 2
    at = (np.arange(GRID, dtype=np.float32) + 0.5) * PATCH
    at = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(1, 1, TOKENS, 2)
    offset = center[:, :, None] - at  # [n, width, TOKENS, 2]
    inside = (np.abs(offset) < half[:, :, None] + PATCH / 2).all(-1)
    distance = np.where(inside, (np.abs(offset) / np.maximum(half[:, :, None], 1)).max(-1), 1e9)
    index = distance.argmin(1)  # [n, TOKENS]
    offset = np.take_along_axis(offset, index[:, None, :, None], 1)[:, 0]
    half = np.take_along_axis(half, index[..., None], 1)
    return np.where(inside.any(1), index, -1), torch.from_numpy(np.concatenate([offset, half], -1) / BOX_UNIT)


def classes(index, names, none):
    """The class of the thing at `index` [n, TOKENS] among the classes of a picture's things."""
    table = np.full((len(names), max(map(len, names), default=0) + 1), none)
    for i, of_one in enumerate(names):
        table[i, :len(of_one)] = of_one
    return torch.from_numpy(np.take_along_axis(table, np.where(index < 0, table.shape[1] - 1, index), 1))


def dense_targets(batch):
    things = [scene.truth["objects"] for scene in batch]
    texts = [scene.truth["text"] or dict(text="", boxes=[]) for scene in batch]
    index, box = nearest_boxes([[o["box"] for o in of_one] for of_one in things], max(1, *map(len, things)))
    shape = classes(index, [[SHAPES.index(o["shape"]) for o in of_one] for of_one in things], len(SHAPES))
    color = classes(index, [[COLORS.index(o["color"]) for o in of_one] for of_one in things], len(COLORS))
    index, character_box = nearest_boxes([t["boxes"] for t in texts], max(1, *(len(t["boxes"]) for t in texts)))
    character = classes(index, [[CHARACTERS.index(c) for c in t["text"]] for t in texts], len(CHARACTERS))
    return Dense(shape, color, box, character, character_box)


# ---- prompts and answers

class Tokenizer:
    def __init__(self):
        self.data = make_tokenizer.train(make_tokenizer.corpus())
        self.pieces = make_tokenizer.load(self.data)
        self.loc = self.pieces.piece_to_id("<loc0000>")
        self.seg = self.pieces.piece_to_id("<seg000>")
        self.image = self.pieces.vocab_size()
        self.newline = self.pieces.piece_to_id("\n")

    def prefix(self, prompt):
        return [BOS] + self.pieces.encode(prompt) + [self.newline]

    def suffix(self, answer, codes):
        """`{k}` stands for the mask of object k, codes[k]."""
        parts = re.split(r"\{(\d)\}", answer)
        ids = []
        for i, part in enumerate(parts):
            ids += [self.seg + c for c in codes[int(part)]] if i % 2 else self.pieces.encode(part)
        return ids + [EOS]


@dataclass
class Examples:
    """Some examples of a batch, of like length."""
    picture: torch.Tensor  # [n]: the number of its picture in the batch
    tokens: torch.Tensor  # [n, rows]: prompt and answer, padded; the image's tokens left out
    prefix: torch.Tensor  # [n]: tokens of image and prompt
    answer: torch.Tensor  # bool [n, rows]: the next token is one of the answer
    weight: torch.Tensor  # [n, rows]: of the next token in the loss
    info: list  # (scene, example) or None for an example that only fills the batch


SEG_WEIGHT = 0.3  # many tokens say one mask


def collate(items, tokenizer, size=None, step=1):
    """items: (picture, scene, example, prefix, suffix). `size` and multiples of `step`: few different shapes."""
    rows = max(len(prefix) + len(suffix) for *_, prefix, suffix in items)
    rows, size = -(-rows // step) * step, size or len(items)
    tokens = torch.zeros(size, rows, dtype=torch.long)
    answer, weight = torch.zeros(size, rows, dtype=torch.bool), torch.zeros(size, rows)
    picture, length = torch.zeros(size, dtype=torch.long), torch.full((size,), TOKENS + 1)
    for i, (at, _, _, prefix, suffix) in enumerate(items):
        ids, start = torch.tensor(prefix + suffix), len(prefix) - 1
        tokens[i, :len(ids)] = ids
        picture[i], length[i] = at, TOKENS + len(prefix)
        answer[i, start:len(ids) - 1] = True
        # An answer counts as the root of its length: between one vote per token and one per answer.
        seg = ids[start + 1:] >= tokenizer.seg
        weight[i, start:len(ids) - 1] = (1 - (1 - SEG_WEIGHT) * seg.float()) * len(suffix) ** -0.5
    info = [(item[1], item[2]) for item in items] + [None] * (size - len(items))
    return Examples(picture, tokens, length, answer, weight, info)


@dataclass
class Batch:
    pictures: torch.Tensor  # uint8 [n, IMAGE, IMAGE, 3]
    dense: Dense
    groups: list  # of Examples, the short ones first
    scenes: list


def examples_of(batch, tokenizer, codes_of):
    """What collate() takes. codes_of: uint8 masks [n, MASK, MASK] -> codes [n][16]."""
    codes = [[] for _ in batch]
    wanted = [i for i, scene in enumerate(batch) if any("{" in e["answer"] for e in scene.truth["examples"])]
    if wanted:
        found = iter(codes_of(np.concatenate([batch[i].masks for i in wanted])))
        for i in wanted:
            codes[i] = [next(found) for _ in batch[i].masks]
    return [(i, scene, e, tokenizer.prefix(e["prompt"]), tokenizer.suffix(e["answer"], codes[i]))
            for i, scene in enumerate(batch) for e in scene.truth["examples"]]


def pictures_of(batch):
    return torch.from_numpy(np.stack([scene.picture for scene in batch]))


def batches(source, pictures, group, tokenizer=None, codes_of=None, step=1):
    """Batches of so many pictures; their examples in groups of `group`. Without a tokenizer: no examples."""
    batch = []
    for scene in source:
        batch.append(scene)
        if len(batch) < pictures:
            continue
        groups = []
        if tokenizer:
            items = sorted(examples_of(batch, tokenizer, codes_of), key=lambda item: len(item[3]) + len(item[4]))
            groups = [collate(items[i:i + group], tokenizer, group, step) for i in range(0, len(items), group)]
        yield Batch(pictures_of(batch), dense_targets(batch), groups, batch)
        batch = []


# Without letters and round or heart-shaped things; chelsea, coffee and rocket are test data.
PHOTOS = ("astronaut", "brick", "camera", "cell", "grass", "gravel", "hubble_deep_field", "immunohistochemistry",
          "microaneurysms", "moon", "stereo_motorcycle")


def write_photos(folder):
    import skimage.data
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        picture = getattr(skimage.data, name)()
        picture = picture[0] if isinstance(picture, tuple) else picture  # of a pair, the left one
        Image.fromarray(picture).convert("RGB").save(folder / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hashes", action="store_true")
    parser.add_argument("--look", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--generator", type=Path, default=GENERATOR, help="the program scene_examples")
    arguments = parser.parse_args()
    GENERATOR = arguments.generator
    if arguments.hashes:
        for split in SPLITS:
            digest = hashlib.sha256()
            for scene in scenes(split, 0, 100):
                digest.update(scene.record)
            print(f"{split:8} {digest.hexdigest()}")
    if arguments.photos:
        write_photos(arguments.photos)
    if arguments.look:
        from PIL import Image, ImageDraw

        arguments.look.mkdir(parents=True, exist_ok=True)
        for scene in scenes("train", 0, 16):
            picture = Image.fromarray(scene.picture).resize((448, 448), Image.Resampling.NEAREST)
            draw = ImageDraw.Draw(picture)
            for i, thing in enumerate(scene.truth["objects"]):
                y1, x1, y2, x2 = (round(2 * v) for v in thing["box"])
                box = (x1, y1, x2, y2)
                draw.rectangle(box, outline="magenta")
                mask = Image.fromarray(scene.masks[i]).resize((max(1, x2 - x1), max(1, y2 - y1)))
                picture.paste("grey", box[:2], mask.point(lambda v: v // 2))
            for box in (scene.truth["text"] or dict(boxes=[]))["boxes"]:
                draw.rectangle([2 * box[i] for i in (1, 0, 3, 2)], outline="magenta")
            name = f"{scene.truth['seed']:04}"
            picture.save(arguments.look / f"{name}.png")
            print(name, *(f"   {e['prompt']} -> {e['answer']}" for e in scene.truth["examples"]), sep="\n")
