"""What makes threads of a block wait in the kernels, each left out in turn.

All are compiled at once, behind a switch; a barrier in a header that pieces share is needed if a
test of one of them fails."""
import functools
import re

from lists import ROOT, all_pieces, is_cuda, sources_of
from programs import OBJECTS, build, once, passes

# For one another or for a copy.
WAIT = r"__syncthreads|__syncwarp|bar_sync|grid_sync|(?:cp_async|wgmma)_wait<[^;]*?>"
BARRIER = re.compile(rf"\b(?:{WAIT})\((?:[^()]|\([^()]*\))*\)")
# left_out(i): whether the barrier i is.
SWITCH = """#include <cstdlib>
bool left_out(int i) {
  static const int which = std::atoi(std::getenv("PG_LEFT_OUT"));
  return i == which;
}
"""


@functools.cache
def barriers_in(name):
    """Where in the file each is."""
    text = (ROOT / name).read_text()
    found = BARRIER.finditer(text)
    return [m for m in found if "//" not in text[text.rfind("\n", 0, m.start()) + 1:m.start()]]


@functools.cache
def files_with_barriers(piece):
    return [name for name in sources_of(piece) if barriers_in(name)]


@functools.cache
def all_barriers():
    """[(file, where)]"""
    files = {name for piece in filter(is_cuda, all_pieces()) for name in files_with_barriers(piece)}
    return [(name, match) for name in sorted(files) for match in barriers_in(name)]


def switched(name):
    """The file's text with each barrier behind a switch."""
    text, end = f'bool left_out(int i);\n#line 1 "{ROOT / name}"\n', 0
    for i, (holder, match) in enumerate(all_barriers()):
        if holder == name:
            text += match.string[end:match.start()] + f"(left_out({i}) ? void() : {match[0]})"
            end = match.end()
    return text + barriers_in(name)[0].string[end:]


@once
def program_of(piece):
    """The piece's test, in which each barrier can be left out."""
    folder = OBJECTS / "barriers" / piece
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "switch.cpp").write_text(SWITCH)
    changed = {name: switched(name) for name in files_with_barriers(piece)}
    program = build(piece, folder, changed, str(folder / "switch.cpp"))
    if not passes(program):
        raise SystemExit(f"{piece}: its tests fail with every barrier in its place")
    return program


def check_barrier(i, pieces):
    """None if a test fails without barrier i. Tests of `pieces` are asked first."""
    name, match = all_barriers()[i]
    users = [p for p in all_pieces() if is_cuda(p) and name in files_with_barriers(p)]
    users.sort(key=lambda piece: piece not in pieces)
    if any(not passes(program_of(piece), i) for piece in users):
        return None
    line = match.string.count("\n", 0, match.start()) + 1
    return f"{name}:{line}: no test needs {match[0]}"
