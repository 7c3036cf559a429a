"""The lists of deliberate faults, tests/mutations/<piece>.txt, and where their old texts stand."""
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = ROOT / "tests/mutations"


def is_cuda(piece):
    return piece.startswith("cuda/")


def is_fast(piece):
    return piece.startswith("fast/")


def is_engine(piece):
    return piece.startswith("engine/")


def files_of(*patterns):
    return sorted(str(path.relative_to(ROOT)) for p in patterns for path in ROOT.glob(p))


def list_of(piece):
    return LISTS / f"{piece}.txt"


def all_pieces():
    """Those that have a list, and all that have kernels."""
    lists = {str(path.relative_to(LISTS).with_suffix("")) for path in LISTS.rglob("*.txt")}
    tests = files_of("tests/cuda/**/*_test.cpp")
    return sorted(lists | {name.removeprefix("tests/").removesuffix("_test.cpp") for name in tests})


@functools.cache
def includes(name):
    """The file and all that it includes, but nothing that only nvcc reads."""
    text = (ROOT / name).read_text()
    if "#include <cuda_runtime.h>" in text:
        return frozenset()
    found = re.findall(r'^#include "((?!cuda/emulation/).*)"', text, re.MULTILINE)
    return frozenset({name}).union(*(includes(path) for path in found if (ROOT / path).is_file()))


def kernels_of(piece):
    return files_of(f"{piece}.cu", f"{piece}/*.cu")


def engine_sources():
    """The sources of the library without kernels: all that stands in its room."""
    return [name for name in files_of("engine/*.cpp") if name != "engine/cuda.cpp"]


@functools.cache
def sources_of(piece):
    """Where a fault may stand."""
    if is_engine(piece):
        return engine_sources()
    files = {*files_of(f"{piece}.h", f"{piece}_*.h", f"{piece}.cpp"), *kernels_of(piece)}
    if not is_cuda(piece) and not is_fast(piece):
        return sorted(files)
    files = files.union(*map(includes, files))
    if is_fast(piece) and "fast/core/kernels.h" in files:
        files |= includes("fast/kernels/portable.cpp")
    return sorted(name for name in files if name.split("/")[0] == piece.split("/")[0])


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


def faults_of(piece):
    return read_list(list_of(piece)) if list_of(piece).exists() else []


def with_fault(piece, old, new):
    """{name: text} of the file that the fault changes; nothing unless the old text stands once."""
    files = {name: (ROOT / name).read_text() for name in sources_of(piece)}
    if sum(text.count(old) for text in files.values()) != 1:
        return {}
    return {name: text.replace(old, new) for name, text in files.items() if old in text}


def problems():
    """What is wrong with the lists, known without compiling anything."""
    found = []
    for piece in all_pieces():
        if not (ROOT / f"tests/{piece}_test.cpp").is_file():
            found.append(f"tests/mutations/{piece}.txt: tests/{piece}_test.cpp is missing")
        found += [f"tests/mutations/{piece}.txt: {title}: the old text must stand in one place"
                  for title, old, new in faults_of(piece) if not with_fault(piece, old, new)]
    return found
