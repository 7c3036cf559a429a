#!/usr/bin/env python3
"""Draws world/boards: boards as people draw them in a paint program, with pens that world/board does not have.

  venv/bin/pip install pillow==13.0.0
  venv/bin/python tools/zeta/draw_boards.py

Nothing is smoothed: a pencil of whole pixels, a brush, chalk in pieces, a spray can, a mouse that trembles; lines
that miss each other, noughts with corners, crosses that lean, a sheet of squared paper, a picture of a screen's shape.
"""
import json
import math
import random
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parents[2] / "world/boards"
BOARDS = [  # cells, size, paper, inks of lines, x and o, pen, style
    ("xo..x...o", (300, 300), "white", ("black", "black", "black"), 3, "pencil"),
    ("xoxoxxooo", (400, 300), "white", ("black", "blue", "red"), 5, "pencil"),
    ("..x.o.x.o", (256, 256), "black", ("white", "white", "white"), 4, "pencil"),
    ("ooox.x..x", (640, 480), "#205040", ("#e8e8e0", "#f0e890", "#e8e8e0"), 9, "chalk"),
    (".........", (200, 200), "#fff8dc", ("#8b4513", "#000000", "#000000"), 6, "brush"),
    ("x.x.o.o..", (320, 320), "white", ("#c0c0c0", "#ff0000", "#00a000"), 8, "brush"),
    ("xxxoo.o..", (300, 300), "#ffd0e0", ("#8000ff", "#8000ff", "#8000ff"), 12, "brush"),
    ("oxoxoxxox", (480, 480), "white", ("navy", "navy", "navy"), 5, "squared"),
    ("....x....", (150, 150), "white", ("black", "black", "black"), 2, "pencil"),
    ("o.x.xox.o", (300, 200), "#4060c0", ("yellow", "yellow", "white"), 7, "brush"),
    ("xo.oxo..x", (360, 360), "white", ("black", "#d02020", "#2020d0"), 10, "spray"),
    ("oxx.o.x.o", (224, 224), "#101018", ("#00ff60", "#00ff60", "#00ff60"), 5, "pencil"),
]


def trembling(points, by, hand):
    """The line through these points with a point every few pixels, each a little astray."""
    line = []
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        count = max(2, int(math.hypot(x1 - x0, y1 - y0) / 6))
        line += [(x0 + (x1 - x0) * i / count + hand.uniform(-by, by), y0 + (y1 - y0) * i / count + hand.uniform(-by, by))
                 for i in range(count + 1)]
    return line


def stroke(canvas, points, ink, pen, style, hand):
    points = trembling(points, 0.3 if style == "pencil" else 1.2, hand)
    if style == "spray":
        for x, y in points:
            for _ in range(40):
                px, py = hand.gauss(x, pen / 3), hand.gauss(y, pen / 3)
                canvas.rectangle((px, py, px + 1, py + 1), fill=ink)
        return
    for a, b in zip(points, points[1:]):
        if style == "chalk" and hand.random() < 0.12:
            continue
        canvas.line((a, b), fill=ink, width=pen)
        if style != "pencil":  # round ends
            canvas.ellipse((b[0] - pen / 2, b[1] - pen / 2, b[0] + pen / 2, b[1] + pen / 2), fill=ink)


def picture(number):
    cells, (width, height), paper, inks, pen, style = BOARDS[number]
    hand = random.Random(number)
    image = Image.new("RGB", (width, height), paper)
    canvas = ImageDraw.Draw(image)
    if style == "squared":
        for at in range(0, max(width, height), 16):
            canvas.line(((at, 0), (at, height)), fill="#d8e4f0")
            canvas.line(((0, at), (width, at)), fill="#d8e4f0")
    a, b = width * hand.uniform(0.24, 0.29), height * hand.uniform(0.24, 0.29)
    left, top = (width - 3 * a) * hand.uniform(0.3, 0.7), (height - 3 * b) * hand.uniform(0.3, 0.7)
    at = lambda x, y: (left + a * x, top + b * y)
    off = lambda by=0.06: hand.uniform(-by, by)
    for k in (1, 2):
        stroke(canvas, [at(k + off(), off()), at(k + off(), 3 + off())], inks[0], pen, style, hand)
        stroke(canvas, [at(off(), k + off()), at(3 + off(), k + off())], inks[0], pen, style, hand)
    for i, cell in enumerate(cells):
        x, y, r = i % 3 + 0.5 + off(), i // 3 + 0.5 + off(), hand.uniform(0.24, 0.33)
        if cell == "x":
            for side in (-1, 1):
                stroke(canvas, [at(x - r * side + off(), y - r + off()), at(x + r * side + off(), y + r + off())],
                       inks[1], pen, style, hand)
        elif cell == "o":
            corners, first = hand.choice((7, 9, 16)), hand.uniform(0, 6)
            turns = [first + 2 * math.pi * k / corners for k in range(corners + 1)]
            stroke(canvas, [at(x + r * math.sin(t), y - r * math.cos(t)) for t in turns], inks[2], pen, style, hand)
    return image


def main():
    FOLDER.mkdir(exist_ok=True)
    truth = []
    for number, board in enumerate(BOARDS):
        name = f"{number:02}.png"
        picture(number).quantize(32).save(FOLDER / name, optimize=True)
        truth.append({"picture": name, "board": board[0]})
    lines = ",\n".join("  " + json.dumps(one) for one in truth)
    (FOLDER / "boards.json").write_text(f'{{"boards": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
