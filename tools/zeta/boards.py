"""Boards for train_board.py: from the C++ renderer through a pipe, each in many views, and those of world/boards."""
import json
import subprocess
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = [".", "x", "o", "X", "O", "-", "<end>", "<start>"]  # cells, who has won, the ends
END, START = 6, 7
CELLS, PATCHES, SIDE = 9, 36, 48
RECORD = np.dtype([("text", "S10"), ("patches", "u1", PATCHES), ("picture", "u1", (SIDE, SIDE, 3))])
BATCH, POOL, POOL_STEPS = 32, 4096, 768  # boards: in a step, drawn at once; steps until others are drawn


def boards(program, split, first, count):
    """(words [n, 12], the cell of each patch [n, 36] or 9 beside the board, pictures [n, 48, 48, 3] in bytes)"""
    command = [program, "--split", split, "--first", str(first), "--count", str(count)]
    records = np.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, RECORD)
    words = np.array([[START, *(VOCABULARY.index(chr(c)) for c in text), END] for text in records["text"]])
    patches = np.where(records["patches"] == ord("-"), CELLS, records["patches"] - ord("0"))
    return words, patches.astype(np.int64), records["picture"]


def pixels(pictures):
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32) / 255)


def tensors(words, patches, pictures):
    return pixels(pictures), torch.from_numpy(words), torch.from_numpy(patches)


def turned(words, patches, pictures, rng):
    """One of the square's eight symmetries: x and o stay what they are, cells change places."""
    cells, grid = np.arange(CELLS).reshape(3, 3), patches.reshape(-1, 6, 6)
    turn, mirror = rng.integers(4), rng.integers(2)

    def symmetric(a, axes):
        a = np.rot90(a, turn, axes)
        return np.swapaxes(a, *axes) if mirror else a

    order = symmetric(cells, (0, 1)).flatten()  # the cell that comes to each place
    place = np.append(np.argsort(order), CELLS)
    words = np.concatenate((words[:, :1], words[:, 1 + order], words[:, 1 + CELLS:]), 1)
    return words, place[symmetric(grid, (1, 2))].reshape(-1, PATCHES), symmetric(pictures, (1, 2))


def recolored(pictures, rng):
    """Red, green and blue in any order, each perhaps as in a negative."""
    return pictures[..., rng.permutation(3)] ^ (rng.integers(2, size=3) * 255).astype(np.uint8)


class Pool:
    """Boards to draw batches from. What step s sees depends on s alone."""

    def __init__(self, program):
        self.program, self.number = program, None

    def batch(self, step):
        if step // POOL_STEPS != self.number:
            self.number = step // POOL_STEPS
            self.boards = boards(self.program, "train", self.number * POOL, POOL)
        rng = np.random.default_rng(step)
        parts = []
        for some in rng.integers(POOL, size=(4, BATCH // 4)):
            words, patches, pictures = turned(*(a[some] for a in self.boards), rng)
            parts.append((words, patches, recolored(pictures, rng)))
        return tensors(*(np.concatenate(a) for a in zip(*parts)))


def drawn_elsewhere():
    """The cells of each board of world/boards, and their pictures [n, 48, 48, 3]."""
    drawn = json.loads((ROOT / "world/boards/boards.json").read_text())["boards"]
    pictures = [Image.open(ROOT / "world/boards" / board["picture"]).convert("RGB") for board in drawn]
    pictures = [picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for picture in pictures]
    return [board["board"] for board in drawn], np.stack(pictures)
