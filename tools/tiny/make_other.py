#!/usr/bin/env python3
"""Draws world/other: 24 pictures that the project's own renderer had no hand in.

    python3 make_other.py

The scenes are written as SVG, with CSS color names and palettes from the web and other outlines than ours (a heart of
two curves, a star from a compass, a plus sign of strokes), and rendered by librsvg on Cairo (Debian's librsvg2-bin).
world/other/scenes.json holds what is on them, boxes in units of the 224 x 224 canvas. The same files every time.
"""
import json
import math
import random
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "world" / "other"
PICTURES = 24
COLORS = dict(
    red=["red", "#dc2626", "crimson", "#e53935"], orange=["orange", "darkorange", "#fb8c00"],
    yellow=["gold", "yellow", "#fdd835"], green=["green", "limegreen", "#43a047", "forestgreen"],
    blue=["blue", "royalblue", "#1e88e5", "mediumblue"], purple=["purple", "rebeccapurple", "#8e24aa"],
    pink=["hotpink", "pink", "#f48fb1"], black=["black", "#1a1a1a"])
HELD_OUT = {("orange", "circle"), ("pink", "square"), ("blue", "heart"), ("green", "cross")}
SHAPES = ["circle", "square", "triangle", "star", "circle", "square", "triangle", "star", "heart", "cross"]
BACKGROUNDS = ["white", "white", "whitesmoke", "ivory", "#f0f4f8", "lightgray", "#fff8e1", "aliceblue"]
SIZES = [(224, 224), (320, 240), (300, 300), (448, 448), (480, 400), (256, 320)]


def polygon(points):
    return '<polygon points="%s"' % " ".join(f"{x:.2f},{y:.2f}" for x, y in points), points


def shape_svg(shape, x, y, r):
    """The element without its end, and points whose extent is its box."""
    corners = [(x - r, y - r), (x + r, y + r)]
    if shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="{r}"', corners
    if shape == "square":
        a = 0.86 * r
        return f'<rect x="{x - a}" y="{y - a}" width="{2 * a}" height="{2 * a}"', [(x - a, y - a), (x + a, y + a)]
    if shape == "triangle":  # equilateral
        return polygon([(x + r * math.sin(t), y - r * math.cos(t)) for t in (0, 2 * math.pi / 3, 4 * math.pi / 3)])
    if shape == "star":  # every second corner of a pentagon, joined: the inner radius follows
        inner = r * math.cos(2 * math.pi / 5) / math.cos(math.pi / 5)
        return polygon([(x + (r, inner)[i % 2] * math.sin(math.pi * i / 5),
                         y - (r, inner)[i % 2] * math.cos(math.pi * i / 5)) for i in range(10)])
    if shape == "heart":  # two half circles over a corner
        h = r / 2
        path = (f"M {x} {y + r * .9} L {x - r} {y - h * .4} A {h} {h * 1.05} 0 0 1 {x} {y - h * .4} "
                f"A {h} {h * 1.05} 0 0 1 {x + r} {y - h * .4} Z")
        return f'<path d="{path}"', [(x - r, y - h * 1.45), (x + r, y + r * .9)]
    arm = 0.3 * r
    path = f"M {x - arm} {y - r} h {2 * arm} v {r - arm} h {r - arm} v {2 * arm} h {arm - r} v {r - arm} " \
           f"h {-2 * arm} v {arm - r} h {arm - r} v {-2 * arm} h {r - arm} Z"
    return f'<path d="{path}"', corners


def scene(rng, number):
    width, height = SIZES[number % len(SIZES)]
    unit = math.sqrt(width * height) / 224
    wanted, objects, body, taken = 1 + number % 3, [], "", []
    while len(objects) < wanted:
        color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
        r = rng.uniform(24, 38) * unit
        x, y = rng.uniform(r + 4, width - r - 4), rng.uniform(r + 4, height - r - 4)
        near = any(abs(x - a) < r + b + 6 and abs(y - c) < r + b + 6 for a, c, b in taken)
        if near or (color, shape) in HELD_OUT or any(o["shape"] == shape for o in objects):
            continue
        taken.append((x, y, r))
        element, points = shape_svg(shape, round(x, 2), round(y, 2), round(r, 2))
        body += f'  {element} fill="{rng.choice(COLORS[color])}"/>\n'
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        box = [min(ys) / height, min(xs) / width, max(ys) / height, max(xs) / width]
        objects.append(dict(color=color, shape=shape, box=[round(224 * v, 2) for v in box]))
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">\n'
           f'  <rect width="100%" height="100%" fill="{rng.choice(BACKGROUNDS)}"/>\n{body}</svg>\n')
    return svg, objects


def main():
    rng = random.Random(24)
    FOLDER.mkdir(parents=True, exist_ok=True)
    scenes = []
    for number in range(PICTURES):
        svg, objects = scene(rng, number)
        name = f"{number:02d}.png"
        subprocess.run(["rsvg-convert", "-o", FOLDER / name], input=svg.encode(), check=True)
        scenes.append(dict(picture=name, objects=objects))
    lines = ",\n".join("  " + json.dumps(s) for s in scenes)
    (FOLDER / "scenes.json").write_text(f'{{"scenes": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
