#!/usr/bin/env python3
"""Applies deliberate faults one at a time and reports those that no test of the piece notices.

    tests/mutations/run.py                       every list, every barrier
    tests/mutations/run.py gemma/rms_norm ...    these pieces
    tests/mutations/run.py --since main~3        pieces whose files changed since that commit
    tests/mutations/run.py --barriers [...]      no lists, only the barriers of kernels
    tests/mutations/run.py --minutes 6           barriers first, then lists by chance, until time is up

A list, tests/mutations/<piece>.txt, holds one fault per paragraph: a title; `- old text`; `+ new
text`; both may have several lines. The old text stands once in the piece's files, or the list is
wrong. A title that begins with "equivalent:" marks a fault that cannot be seen; the piece's page
says why. Each fault is compiled and linked in front of the library in build/cpu, which must be up
to date.

A piece fast/... is its fast version; of kernels, as they are for every processor (portable).
A piece cuda/... is its kernels, compiled for the emulation with a check of every access to memory.
They need no list for their barriers: each is left out once. All of them are compiled at once,
behind a switch; a barrier in a header that pieces share is needed if a test of one of them fails.

Exits 1 if a fault survives, or is noticed though it is called equivalent.
"""
import argparse
import concurrent.futures
import functools
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = ROOT / "tests/mutations"
BUILD = ROOT / "build/cpu"
OBJECTS = pathlib.Path(tempfile.mkdtemp(prefix="mutations-"))  # compiled once for many faults


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def flags(*packages):
    return shlex.split(run("pkg-config", *packages).stdout)


os.environ["OMP_WAIT_POLICY"] = "passive"  # many programs at once: do not wait in a loop
COMPILE = ["g++", "-std=c++20", "-O1", "-fopenmp",
           *flags("--cflags", "sentencepiece", "stb", "libzip")]
KERNELS = ["-x", "c++", "-fno-strict-aliasing", "-fsanitize=thread", "-g1"]
EMULATION = BUILD / "cuda/emulation/CMakeFiles"
EMULATED_AVX512 = BUILD / "CMakeFiles/fast_emulated_avx512.dir/tests/fast/emulated_avx512.cpp.o"
SOURCE_TREE = BUILD / "CMakeFiles/pg_source_tree.dir/generated/source_tree.cpp.o"
LINK = [*map(str, BUILD.glob("libpg_cuda_model.a")), str(BUILD / "libpaligemma.a"),
        str(SOURCE_TREE), "-lgtest", "-lgtest_main", *flags("--libs", "sentencepiece", "libzip")]

NO_TIME = "not tried, time was up"

# What makes threads of a block wait, for one another or for a copy.
WAIT = r"__syncthreads|__syncwarp|bar_sync|grid_sync|(?:cp_async|wgmma)_wait<[^;]*?>"
BARRIER = re.compile(rf"\b(?:{WAIT})\((?:[^()]|\([^()]*\))*\)")
# left_out(i): whether the barrier i is.
SWITCH = """#include <cstdlib>
bool left_out(int i) {
  static const int which = std::atoi(std::getenv("PG_LEFT_OUT"));
  return i == which;
}
"""


def is_cuda(piece):
    return piece.startswith("cuda/")


def is_fast(piece):
    return piece.startswith("fast/")


def files_of(*patterns):
    return sorted(str(path.relative_to(ROOT)) for p in patterns for path in ROOT.glob(p))


@functools.cache
def includes(name):
    """The file and the kernels' headers that it includes, but none that only nvcc reads."""
    text = (ROOT / name).read_text()
    if "#include <cuda_runtime.h>" in text:
        return frozenset()
    found = re.findall(r'^#include "(cuda/(?!emulation/).*)"', text, re.MULTILINE)
    return frozenset({name}).union(*map(includes, found))


def kernels_of(piece):
    return files_of(f"{piece}.cu", f"{piece}/*.cu")


@functools.cache
def sources_of(piece):
    """Where a fault may stand."""
    own = files_of(f"{piece}.cpp", f"{piece}.h", *([f"{piece}/*.h"] if is_cuda(piece) else []),
                   *([f"{piece}_kernel.h"] if is_fast(piece) else []))
    return sorted({*own}.union(*map(includes, kernels_of(piece))))


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


def passes(program, left_out=-1):
    environment = {**os.environ, "PG_LEFT_OUT": str(left_out)}
    command = [str(program), "--gtest_brief=1", "--gtest_fail_fast"]
    try:
        return run(*command, env=environment, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def test_object(piece, folder, changed):
    """The test, compiled: anew if the header changed, the one file of the piece that it knows."""
    source = f"tests/{piece}_test.cpp"
    if is_cuda(piece):
        test = EMULATION / f"{re.sub('[/.]', '_', source)}.dir/__/__/{source}.o"
    else:
        test = OBJECTS / f"{piece.replace('/', '_')}.o"
    if f"{piece}.h" in changed or not test.exists():
        test = (folder if f"{piece}.h" in changed else OBJECTS) / f"{piece.replace('/', '_')}.o"
        include = [f"-I{folder}", f"-I{ROOT}"]
        compile_or_stop(piece, *include, "-c", str(ROOT / source), "-o", str(test))
    return str(test)


def product_objects(piece, folder, changed):
    """What stands in front of the library: the piece; of kernels, all there are."""
    if not is_cuda(piece):
        names = files_of(f"{piece}.cpp")
        if f"{piece}_kernel.h" in changed:
            names.append("fast/kernels/portable.cpp")
        objects = [str(folder / name if name in changed else ROOT / name) for name in names]
        return objects + [str(EMULATED_AVX512)] * is_fast(piece)
    objects = [str(path) for path in (EMULATION / "pg_emulation.dir").rglob("*.o")]
    for name in files_of("cuda/**/*.cu"):
        built = EMULATION / f"pg_kernels_checked.dir/__/{name.removeprefix('cuda/')}.o"
        if name in kernels_of(piece) and (includes(name) & changed.keys() or not built.exists()):
            built = folder / f"{name.replace('/', '_')}.o"
            source = folder / name if name in changed else ROOT / name
            compile_or_stop(piece, f"-I{folder}", f"-I{ROOT}", *KERNELS, "-c", str(source), "-o",
                            str(built))
        if built.exists():
            objects.append(str(built))
    return objects


def build(piece, folder, changed, *more):
    """The piece's test, where `changed` {name: text} stands in the place of the tree's files."""
    for name, text in changed.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    program = folder / "test"
    compile_or_stop(piece, f"-I{folder}", f"-I{ROOT}", *product_objects(piece, folder, changed),
                    test_object(piece, folder, changed), *more, *LINK, "-o", str(program))
    return program


def passes_without_fault(piece):
    with tempfile.TemporaryDirectory() as folder:
        return passes(build(piece, pathlib.Path(folder), {}))


def check(piece, title, old, new):
    """None if all is as it should be, otherwise what is not."""
    files = {name: (ROOT / name).read_text() for name in sources_of(piece)}
    holders = [name for name, text in files.items() if text.count(old) == 1]
    if len(holders) != 1:
        return f"{piece}: {title}: the old text must stand in one place"
    with tempfile.TemporaryDirectory() as folder:
        mutant = {holders[0]: files[holders[0]].replace(old, new)}
        survives = passes(build(piece, pathlib.Path(folder), mutant))
    if survives != title.startswith("equivalent:"):
        return f"{piece}: {title}: " + ("survives" if survives else "is noticed")
    return None


@functools.cache
def barriers_in(name):
    """Where in the file each is."""
    text = (ROOT / name).read_text()
    found = BARRIER.finditer(text)
    return [m for m in found if "//" not in text[text.rfind("\n", 0, m.start()) + 1:m.start()]]


class Barriers:
    """All barriers of the kernels, and the tests in which each can be left out."""

    def __init__(self):
        pieces = [piece for piece in all_pieces() if is_cuda(piece)]
        self.files = {piece: [n for n in sources_of(piece) if barriers_in(n)] for piece in pieces}
        self.all = [(n, m) for n in sorted({*sum(self.files.values(), [])}) for m in barriers_in(n)]
        self.programs = {}
        self.locks = {piece: threading.Lock() for piece in pieces}

    def switched(self, name):
        """The file's text with each barrier behind a switch."""
        text, end = f'bool left_out(int i);\n#line 1 "{ROOT / name}"\n', 0
        for i, (holder, m) in enumerate(self.all):
            if holder == name:
                text += m.string[end:m.start()] + f"(left_out({i}) ? void() : {m[0]})"
                end = m.end()
        return text + barriers_in(name)[0].string[end:]

    def program(self, piece):
        with self.locks[piece]:
            if piece not in self.programs:
                folder = OBJECTS / "barriers" / piece
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "switch.cpp").write_text(SWITCH)
                changed = {name: self.switched(name) for name in self.files[piece]}
                self.programs[piece] = build(piece, folder, changed, str(folder / "switch.cpp"))
                if not passes(self.programs[piece]):
                    raise SystemExit(f"{piece}: its tests fail with every barrier in its place")
            return self.programs[piece]

    def check(self, i, pieces):
        """None if a test fails without barrier i. Tests of `pieces` are asked first."""
        name, match = self.all[i]
        users = [piece for piece, files in self.files.items() if name in files]
        users.sort(key=lambda piece: piece not in pieces)
        if any(not passes(self.program(piece), i) for piece in users):
            return None
        line = match.string.count("\n", 0, match.start()) + 1
        return f"{name}:{line}: no test needs {match[0]}"


def changed_since(commit):
    return run("git", "diff", "--name-only", commit, cwd=ROOT).stdout.splitlines()


def all_pieces():
    lists = {str(path.relative_to(LISTS).with_suffix("")) for path in LISTS.rglob("*.txt")}
    tests = files_of("tests/cuda/**/*_test.cpp")
    return sorted(lists | {name.removeprefix("tests/").removesuffix("_test.cpp") for name in tests})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pieces", nargs="*")
    parser.add_argument("--since")
    parser.add_argument("--barriers", action="store_true")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("-j", type=int, default=2)
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    pieces, changed = arguments.pieces or all_pieces(), []
    if arguments.since:
        changed = changed_since(arguments.since)
        pieces = [piece for piece in pieces if any(piece in name for name in changed)]

    barriers = Barriers()
    asked = {*changed}.union(*(barriers.files.get(piece, []) for piece in pieces))
    left_out = [i for i, (name, _) in enumerate(barriers.all) if name in asked]
    listed = [] if arguments.barriers else [p for p in pieces if (LISTS / f"{p}.txt").exists()]
    if arguments.minutes < float("inf"):
        random.shuffle(listed)
    faults = [(piece, *fault) for piece in listed for fault in read_list(LISTS / f"{piece}.txt")]
    sound = functools.cache(passes_without_fault)  # or every fault would look noticed

    def check_in_time(fault):
        if time.monotonic() > end:
            return NO_TIME
        return check(*fault) if sound(fault[0]) else f"{fault[0]}: its tests fail without any fault"

    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        found = [*pool.map(lambda i: barriers.check(i, pieces), left_out),
                 *pool.map(check_in_time, faults)]
    problems = sorted({problem for problem in found if problem and problem != NO_TIME})
    print("\n".join(problems + [
        f"{len(faults) - found.count(NO_TIME)} of {len(faults)} faults and {len(left_out)} barriers "
        f"in {len(pieces)} pieces, {len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(OBJECTS)
