#!/usr/bin/env python3
"""Applies deliberate faults one at a time and reports those that no test of the piece notices.

    tests/mutations/run.py                       every list
    tests/mutations/run.py gemma/rms_norm ...    these pieces
    tests/mutations/run.py --since main~3        pieces whose files changed since that commit

A list, tests/mutations/<piece>.txt, holds one fault per paragraph: a title; `- old text`; `+ new
text`; both may have several lines. The old text stands in <piece>.cpp or <piece>.h, once, or the
list is wrong. A title that begins with "equivalent:" marks a fault that cannot be seen; the piece's
page says why. Each fault is compiled and linked in front of the library in build/cpu, which must be
up to date. Exits 1 if a fault survives, or is noticed though it is called equivalent.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = ROOT / "tests/mutations"
BUILD = ROOT / "build/cpu"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def flags(*packages):
    return shlex.split(run("pkg-config", *packages).stdout)


os.environ["OMP_WAIT_POLICY"] = "passive"  # many programs at once: do not wait in a loop
COMPILE = ["g++", "-std=c++20", "-O1", "-fopenmp", f'-DPG_SOURCE_DIR="{ROOT}"',
           *flags("--cflags", "sentencepiece", "stb")]
LINK = [str(BUILD / "libpaligemma.a"), "-lgtest", "-lgtest_main",
        *flags("--libs", "sentencepiece")]


def read_list(path):
    """[(title, old text, new text)]"""
    faults, title, old, new = [], None, [], []
    for line in [*path.read_text().splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line and title:
            faults.append((title, "\n".join(old), "\n".join(new)))
            title, old, new = None, [], []
        elif line.startswith("- ") or line == "-":
            old.append(line[2:])
        elif line.startswith("+ ") or line == "+":
            new.append(line[2:])
        elif line:
            title = line
    return faults


def build_and_test(piece, folder, replaced):
    """Whether the piece's tests pass with the files in `replaced` in front of the tree's."""
    for name, text in replaced.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    source = folder / f"{piece}.cpp"
    if not source.exists() and (ROOT / f"{piece}.cpp").exists():
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text((ROOT / f"{piece}.cpp").read_text())
    sources = [str(ROOT / f"tests/{piece}_test.cpp")] + ([str(source)] if source.exists() else [])
    program = folder / "test"
    built = run(*COMPILE, f"-I{folder}", f"-I{ROOT}", *sources, *LINK, "-o", str(program))
    if built.returncode != 0:
        raise SystemExit(f"{piece}: does not compile:\n{built.stderr[:2000]}")
    try:
        return run(str(program), "--gtest_brief=1", timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def check(piece, title, old, new):
    """None if all is as it should be, otherwise what is not."""
    files = {f"{piece}{end}": (ROOT / f"{piece}{end}").read_text()
             for end in (".cpp", ".h") if (ROOT / f"{piece}{end}").exists()}
    holders = [name for name, text in files.items() if text.count(old) == 1]
    if len(holders) != 1:
        return f"{piece}: {title}: the old text must stand in one place"
    with tempfile.TemporaryDirectory() as folder:
        mutant = files[holders[0]].replace(old, new)
        survives = build_and_test(piece, pathlib.Path(folder), {holders[0]: mutant})
    if survives != title.startswith("equivalent:"):
        return f"{piece}: {title}: " + ("survives" if survives else "is noticed")
    return None


def changed_since(commit):
    names = run("git", "diff", "--name-only", commit, cwd=ROOT).stdout.splitlines()
    return {piece for piece in all_pieces() if any(piece in name for name in names)}


def all_pieces():
    return sorted(str(path.relative_to(LISTS).with_suffix("")) for path in LISTS.rglob("*.txt"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pieces", nargs="*")
    parser.add_argument("--since")
    parser.add_argument("-j", type=int, default=2)
    arguments = parser.parse_args()
    pieces = arguments.pieces or all_pieces()
    if arguments.since:
        pieces = sorted(changed_since(arguments.since))

    for piece in pieces:  # a test that fails anyway would make every fault look noticed
        with tempfile.TemporaryDirectory() as folder:
            if not build_and_test(piece, pathlib.Path(folder), {}):
                raise SystemExit(f"{piece}: its tests fail without any fault")

    faults = [(piece, *fault) for piece in pieces for fault in read_list(LISTS / f"{piece}.txt")]
    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        problems = [p for p in pool.map(lambda fault: check(*fault), faults) if p]
    print("\n".join(problems + [f"{len(faults)} faults in {len(pieces)} pieces, "
                                f"{len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
