#!/usr/bin/env python3
"""docs/walkthrough.md shows the numbers that the model has.

    tests/walkthrough_test.py build/cpu/paligemma            compares
    tests/walkthrough_test.py build/cpu/paligemma --write    writes them anew

A line of a block ```tap is the name of a tap, [a row] unless it is the first, its shape, and the row's first
four numbers. The block ```console begins with the command whose taps they are, and has what it prints. The table
of steps has the largest logit of each, with its token, and the second.
"""
import ast
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/walkthrough.md"
SHOWN = 4
# Half of the last digit that is printed, and what another library's exp and tanh change: some tens of
# operations on numbers of up to 20, each with an error of 2^-24 of it.
TOLERANCE = 0.5e-4 + 20 * 50 * 2**-24


def tap(folder, name):
    """Shape and numbers of a float32 array in NumPy's format 1.0."""
    data = (folder / f"{name}.npy").read_bytes()
    end = 10 + struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:end].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    return list(header["shape"]), memoryview(data[end:]).cast("f")


def line_of(folder, name, row):
    shape, numbers = tap(folder, name)
    width = len(numbers) // shape[0]
    return shape, [numbers[row * width + i] for i in range(SHOWN)]


def main(program, write):
    text, problems, lines = PAGE.read_text(encoding="utf-8"), [], 0
    command, printed = re.search(r"^```console\n\$ \S+ (.*)\n(.*)\n```", text, re.M).groups()
    with tempfile.TemporaryDirectory() as folder:
        arguments = re.findall(r'"([^"]*)"|(\S+)', command.replace("--dump out", f"--dump {folder}"))
        arguments = [quoted or plain for quoted, plain in arguments]
        answer = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        if answer.stdout.strip() != printed:
            problems.append(f"the command prints {answer.stdout.strip()}, the page says {printed}")

        def check(match):
            nonlocal lines
            lines += 1
            name, row, said_shape, said = match[1], int(match[2] or 0), match[3], match[4].split()
            shape, numbers = line_of(pathlib.Path(folder), name, row)
            if str(shape) != said_shape or len(said) != SHOWN or any(
                    abs(float(a) - b) > TOLERANCE for a, b in zip(said, numbers)):
                problems.append(f"{match[0]}: is {shape} {numbers}")
            label = name + (f"[{row}]" if match[2] else "")
            return f"{label:<25} {str(shape):<14} " + " ".join(f"{x:8.4f}" for x in numbers)

        def block(match):
            return "```tap\n" + re.sub(r"^(\S+?)(?:\[(\d+)\])? +(\[.*?\]) +(.*)$", check, match[1], flags=re.M) + "```"

        shape, logits = tap(pathlib.Path(folder), "logits")
        steps = re.findall(r"^\| \d+ \| `(.*?)` \| ([\d.]+) \| `.*?` ([\d.]+) \|$", text, re.M)
        for step, (token, first, second) in enumerate(steps):
            row = sorted(logits[step * shape[1]:(step + 1) * shape[1]])[:-3:-1]
            if any(abs(float(a) - b) > 0.0051 for a, b in zip((first, second), row)):
                problems.append(f"step {step}: the largest logits are {row}")
        said = "".join(token for token, *_ in steps).replace("▁", " ").removesuffix("<eos>")
        if len(steps) != shape[0] or said != printed:
            problems.append(f"the table has {len(steps)} steps of {shape[0]}, which say {said}")

        text = re.sub(r"```tap\n(.*?)```", block, text, flags=re.S)
    if write:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    print("\n".join(problems) or f"{lines} taps are as {PAGE.relative_to(ROOT)} has them")
    return 1 if problems or lines < 12 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), "--write" in sys.argv[2:]))
