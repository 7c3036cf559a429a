#!/usr/bin/env python3
"""Applies deliberate faults one at a time and reports those that no test of the piece notices.

    tests/mutations/run.py                       every list
    tests/mutations/run.py gemma/rms_norm ...    these pieces
    tests/mutations/run.py --since main~3        pieces whose files changed since that commit

A list, tests/mutations/<piece>.txt, holds one fault per paragraph: a title; `- old text`; `+ new
text`; both may have several lines. The old text stands in <piece>.cpp, .cu or .h, once, or the list
is wrong. A piece cuda/... is its kernels, compiled for the emulation with a check of every access to
memory; its faults may also stand in cuda/core/block_reduce.h. A title that begins with "equivalent:" marks a fault that cannot be seen; the piece's
page says why. Each fault is compiled and linked in front of the library in build/cpu, which must be
up to date. Exits 1 if a fault survives, or is noticed though it is called equivalent.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = ROOT / "tests/mutations"
BUILD = ROOT / "build/cpu"
OBJECTS = pathlib.Path(tempfile.mkdtemp(prefix="mutations-"))  # each piece's test, compiled once


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def flags(*packages):
    return shlex.split(run("pkg-config", *packages).stdout)


os.environ["OMP_WAIT_POLICY"] = "passive"  # many programs at once: do not wait in a loop
COMPILE = ["g++", "-std=c++20", "-O1", "-fopenmp", f'-DPG_SOURCE_DIR="{ROOT}"',
           *flags("--cflags", "sentencepiece", "stb", "libzip")]
KERNELS = ["-x", "c++", "-fno-strict-aliasing", "-fsanitize=thread", "-g1"]
EMULATION = BUILD / "cuda/emulation/CMakeFiles/pg_emulation.dir"
LINK = [str(BUILD / "libpaligemma.a"), "-lgtest", "-lgtest_main",
        *flags("--libs", "sentencepiece", "libzip")]


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


def compile_or_stop(piece, *arguments):
    built = run(*COMPILE, *arguments)
    if built.returncode != 0:
        raise SystemExit(f"{piece}: does not compile:\n{built.stderr[:2000]}")


def build_and_test(piece, folder, name="", text=""):
    """Whether the piece's tests pass with `text` in front of the tree's file `name`."""
    if name:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    include = [f"-I{folder}", f"-I{ROOT}"]

    # The test knows the header alone: it is compiled again only if that is at fault.
    test = OBJECTS / f"{piece.replace('/', '_')}.o"
    if name == f"{piece}.h" or not test.exists():
        test = folder / "test.o" if name else test
        compile_or_stop(piece, *include, "-c", str(ROOT / f"tests/{piece}_test.cpp"), "-o",
                        str(test))
    is_cuda = piece.startswith("cuda/")
    source = folder / f"{piece}{'.cu' if is_cuda else '.cpp'}"
    if not source.exists():
        source = ROOT / source.relative_to(folder)
    sources = [str(source)] if source.exists() else []
    if is_cuda:
        kernels = str(folder / "kernels.o")
        compile_or_stop(piece, *include, *KERNELS, "-c", *sources, "-o", kernels)
        sources = [kernels, *map(str, EMULATION.glob("*.o"))]
    program = folder / "test"
    compile_or_stop(piece, *include, *sources, str(test), *LINK, "-o", str(program))
    try:
        return run(str(program), "--gtest_brief=1", timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def passes_without_fault(piece):
    with tempfile.TemporaryDirectory() as folder:
        return build_and_test(piece, pathlib.Path(folder))


def check(piece, title, old, new):
    """None if all is as it should be, otherwise what is not."""
    names = [f"{piece}{end}" for end in (".cpp", ".cu", ".h")]
    if piece.startswith("cuda/"):
        names.append("cuda/core/block_reduce.h")
    files = {name: (ROOT / name).read_text() for name in names if (ROOT / name).exists()}
    holders = [name for name, text in files.items() if text.count(old) == 1]
    if len(holders) != 1:
        return f"{piece}: {title}: the old text must stand in one place"
    with tempfile.TemporaryDirectory() as folder:
        mutant = files[holders[0]].replace(old, new)
        survives = build_and_test(piece, pathlib.Path(folder), holders[0], mutant)
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

    faults = [(piece, *fault) for piece in pieces for fault in read_list(LISTS / f"{piece}.txt")]
    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        # A test that fails anyway would make every fault look noticed.
        for piece, passes in zip(pieces, pool.map(passes_without_fault, pieces)):
            if not passes:
                raise SystemExit(f"{piece}: its tests fail without any fault")
        problems = [p for p in pool.map(lambda fault: check(*fault), faults) if p]
    print("\n".join(problems + [f"{len(faults)} faults in {len(pieces)} pieces, "
                                f"{len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(OBJECTS)
