#!/usr/bin/env python3
"""The rules of this repository, checked: what no script checks stops being true.

    tests/repository_test.py

- Every piece in CMakeLists.txt has its files at the same path in every tree, and every such file has
  its piece.
- Includes point one way (docs/decisions/0001-layout.md). Headers that are installed include nothing of ours.
- One reading order: numbers in docs/README.md, what pages and headers name next.
- Code is 100 columns wide at most, prose 120.
- Links in pages resolve. What pages and comments call by name is there: files, what to read next, tests,
  benchmarks.
- A page links every version of its piece, and does not say of one that there is none.
- A code block whose info string names a file is a verbatim part of that file.
- Products of whole numbers on pages are right, and all pages agree on the bytes of a KV cache.
- The old text of every deliberate fault stands once, in the piece that has the fault.
- No file of code is longer than 300 lines; nothing calls exit, asks the file system so that it may throw, or
  uses -ffast-math.
- The GPUs of cuda/core/measured.h are those of docs/cuda/results.
- No file says TODO (scripts/new_piece.sh writes it where a new piece has something to say).
- A piece that has one file under cuda/ has its header, kernels and test there, and kernels are started by
  launch alone and do not ask for whom they are compiled.
"""
import math
import os
import pathlib
import re
import subprocess
import sys

from mutations import lists

ROOT = pathlib.Path(__file__).resolve().parents[1]
ALLOWED = {  # a folder and what it may include
    "tensor": {"tensor"},
    "siglip": {"tensor", "siglip"},
    "gemma": {"tensor", "gemma"},
    "processing": {"tensor", "processing"},
    "paligemma": {"tensor", "siglip", "gemma", "processing", "paligemma"},
    "world": {"tensor", "processing", "world"},
    "zeta": {"tensor", "siglip", "gemma", "processing", "zeta"},
    "colpali": {"tensor", "siglip", "gemma", "processing", "paligemma", "colpali"},
    "train": {"tensor", "siglip", "gemma", "processing", "paligemma", "train"},
    "tiny": {"tensor", "processing", "paligemma", "world", "train", "tiny"},
    "fast": {"tensor", "siglip", "gemma", "zeta", "processing", "paligemma", "colpali", "train", "fast"},
    "cuda": {"tensor", "siglip", "gemma", "zeta", "processing", "paligemma", "colpali", "cuda"},
    "engine": {"tensor", "siglip", "gemma", "zeta", "processing", "paligemma", "colpali", "train", "fast", "cuda", "engine"},
    "cli": {"tensor", "siglip", "gemma", "zeta", "processing", "paligemma", "colpali", "world", "train", "tiny", "fast", "engine", "cli",
            "commit.h"},
}
INSTALLED = ["engine/engine.h", "tensor/errors.h"]  # headers
MAX_LINES = 300
problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


def tracked(*patterns):
    """Files that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def all_pieces():
    """Their kinds, by path, in the reading order."""
    calls = re.findall(r"pg_piece\((\w+) +([\w/]+)\)", text_of("CMakeLists.txt"))
    return {path: kind for kind, path in calls}


def check_pieces():
    pieces = all_pieces()
    for path, kind in pieces.items():
        wanted = [f"{path}.h", f"tests/{path}_test.cpp", f"docs/{path}.md"]
        if kind != "composite":
            wanted.append(f"{path}.cpp")
        if kind == "leaf":
            wanted += [f"bench/{path}_bench.cpp", f"diagrams/{path}.svg",
                       f"tests/mutations/{path}.txt"]
            if (ROOT / f"fast/{path}.cpp").is_file():
                wanted.append(f"tests/mutations/fast/{path}.txt")
        for name in wanted:
            if not (ROOT / name).is_file() or text_of(name).strip() in ("", "<svg/>"):
                problem(path, f"{name} is missing or empty")
    check_order(list(pieces))
    supports = " ".join(re.findall(r"pg_support_test\(([^)]*)\)", text_of("CMakeLists.txt"))).split()
    for name in tracked("cuda/*.cu"):
        path = name[len("cuda/"):-len(".cu")]
        if path not in pieces:  # a further file, in a folder named as the piece
            path = path.rsplit("/", 1)[0]
        if path not in pieces:
            problem(name, "belongs to no piece of CMakeLists.txt")
            continue
        for wanted in (f"cuda/{path}.h", f"tests/cuda/{path}_test.cpp"):
            if not (ROOT / wanted).is_file():
                problem(name, f"{wanted} is missing")
    for name in tracked("bench/cuda/*_bench.cpp"):
        if not (ROOT / f"{name[len('bench/'):-len('_bench.cpp')]}.h").is_file():
            problem(name, "belongs to no piece that has kernels")
    folders = "|".join(folder for folder in ALLOWED if folder not in ("cli", "engine", "cuda", "fast"))
    for name in tracked("bench/*_bench.cpp", "docs/*.md", "diagrams/*.svg", "tests/mutations/*.txt"):
        match = re.match(rf"(?:bench|docs|diagrams|tests/mutations)/((?:{folders})/(?!README)\w+?)"
                         r"(?:_bench\.cpp|\.md|\.svg|\.txt)$", name)
        faults_of_support = name.endswith(".txt") and match and match[1] in supports
        if match and match[1] not in pieces and not faults_of_support:
            problem(name, "belongs to no piece of CMakeLists.txt")


def check_order(pieces):
    """One reading order: CMakeLists.txt's, in docs/README.md, between pages, and between headers."""
    rows = re.findall(r"^\| (\d+) \| \[([\w/]+)\]", text_of("docs/README.md"), re.M)
    if rows != [(str(i), path) for i, path in enumerate(pieces, 1)]:
        problem("docs/README.md", "does not number the pieces in the order of CMakeLists.txt")
    for i, path in enumerate(pieces):
        def page(j):
            return os.path.relpath(f"docs/{pieces[j]}.md", f"docs/{path}/..") if 0 <= j < len(pieces) else None
        row = re.search(r"^\| Before / after \| (.*) / (.*) \|$", text_of(f"docs/{path}.md"), re.M)
        linked = [re.search(r"\((.*)\)", link) for link in row.groups()] if row else []
        if [link and link[1] for link in linked] != [page(i - 1), page(i + 1)]:
            problem(f"docs/{path}.md", f"\"Before / after\" is not {page(i - 1)} and {page(i + 1)}")
        following = re.search(r"Read next: ([\w/]+)\.\w+\.$", text_of(f"{path}.h"), re.M)
        if i + 1 < len(pieces) and (not following or following[1] != pieces[i + 1]):
            problem(f"{path}.h", f"does not end with \"Read next: {pieces[i + 1]}.h.\"")


def check_includes():
    for folder, allowed in ALLOWED.items():
        for name in tracked(f"{folder}/*.h", f"{folder}/*.cpp", f"{folder}/*.cu"):
            for include in re.findall(r'#include "([^"]+)"', text_of(name)):
                if include.split("/")[0] not in allowed:
                    problem(name, f"must not include {include}")
                elif "/" in include and not (ROOT / include).is_file():
                    problem(name, f"includes {include}, which is not there")


    for name in INSTALLED:
        if re.search(r'#include "|\btemplate\b', text_of(name)):
            problem(name, "is installed, so it includes nothing of ours and has no templates")


def check_pages():
    tests = set()
    for name in tracked("tests/*_test.cpp", "tests/*_test.cu"):
        for suite, test in re.findall(r"\b(?:TYPED_)?TEST(?:_[FP])?\((\w+), (\w+)\)", text_of(name)):
            tests.add(f"{suite}.{test}")
    suites, names = ({test.split(".")[i] for test in tests} for i in (0, 1))
    for name in tracked("*.md"):
        text = text_of(name)
        prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
            if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
                problem(name, f"links to {target}, which is not there")
        for path, code in re.findall(r"^```\w+ (\S+)\n(.*?)^```", text, re.M | re.S):
            if not (ROOT / path).is_file():
                problem(name, f"quotes {path}, which is not there")
            elif code.strip("\n") not in text_of(path):
                problem(name, f"its code block is no verbatim part of {path}")
        for suite, test in re.findall(r"`([A-Z][\w/]+)\.([A-Z][a-z]\w*)`", text):
            known = suite in suites or "/" in suite or test in names
            if known and f"{suite}.{test}" not in tests:
                problem(name, f"names the test {suite}.{test}, which is not there")


def check_versions():
    for piece in all_pieces():
        page = f"docs/{piece}.md"
        for folder in ("fast", "cuda"):
            header = f"{folder}/{piece}.h"
            if not (ROOT / header).is_file():
                continue
            if f"](../../{header})" not in text_of(page):
                problem(page, f"does not link {header}")
            if re.search(rf"\bno {folder} version\b", text_of(page), re.I):
                problem(page, f"says that there is no {folder} version, beside {header}")


def check_names():
    folders = "|".join({name.split("/")[0] for name in tracked() if "/" in name})
    kinds = "h|cpp|cu|md|py|sh|cmake|txt|json|jsonl|npz|png|svg|safetensors|model"
    file = re.compile(rf"(?<![\w/.$<-])(?:{folders})/[\w./-]*\w\.(?:{kinds})(?:\.in)?"
                      r"(?!\.?\w|[/*{<])")
    tests = [name[len("tests/"):] for name in tracked("tests/*_test.*")]
    checks = {"check_" + re.sub(r"^(?:fast|cuda)/|_test\..*", "", name).replace("/", "_") for name in tests}
    benches = {name[len("bench/"):-len(".cpp")].replace("/", "_")
               for name in tracked("bench/*_bench.cpp")}
    for name in tracked("*.h", "*.cpp", "*.cu", "*.md", "*.py", "*.sh", "*.cmake", "*CMakeLists.txt"):
        text = text_of(name)
        for target in file.findall(text):
            if not any((base / target).exists() for base in (ROOT, (ROOT / name).parent)):
                problem(name, f"speaks of {target}, which is not there")
        for bench in re.findall(r"build/\w+/bench/(\w+)(?![\w<*$])", text):
            if bench not in benches:
                problem(name, f"starts the benchmark {bench}, which is not there")
        for path in re.findall(r"ctest --preset \w+ -R ([\w/]+)", text):
            if path != "repository" and not any(test.startswith(path) for test in tests):
                problem(name, f"runs the test {path}, which is not there")
        for targets in re.findall(r"--target((?: check_\w+)+)(?![\w$<])", text):
            for target in {*targets.split()} - checks:
                problem(name, f"builds {target}, which has no test")
        for place in re.findall(r"^// (?:.*\. )?Read next: (.*?)$(?=\n(?://)?\n|\n#)", text, re.M | re.S):
            targets = re.findall(r"[\w/]+\.\w+", place)
            if not targets or not all((ROOT / target).is_file() for target in targets):
                problem(name, f"\"Read next: {place}\" leads nowhere")


def number(text):
    return int(text.replace(",", ""))


def check_numbers():
    whole = r"\d[\d,]*"
    product = re.compile(rf"(?<![\d.,×·+/^(-])(?<![×·+/^-] )({whole}(?: × {whole})+) += +({whole})"
                         r"(?![.,]?\d| [×·+/])")
    sizes = re.findall(r'\{"(gemma[\w-]+)", (\d+), \d+, \d+, \d+, (\d+), (\d+), \d+\}',
                       text_of("paligemma/presets.cpp"))
    for name in tracked("*.md"):
        text = text_of(name)
        for factors, result in product.findall(text):
            if math.prod(map(number, factors.split(" × "))) != number(result):
                problem(name, f"{factors} is not {result}")
        for model, layers, heads, head_size in sizes:
            values = 2 * int(layers) * int(heads) * int(head_size)  # of a token, each a float
            if name == "docs/gemma/kv_cache.md" and f"= {values} |" not in text:
                problem(name, f"does not say that {model} keeps {values} numbers of a token")
            said_of_it = rf"\b{layers} × 2 × (?:{heads} × )?{head_size} × \d+ = ({whole}) bytes"
            for said in re.findall(said_of_it, text):
                if number(said) != 4 * values:
                    problem(name, f"says that {model} keeps {said} bytes of a token, not {4 * values}")
    if "BufferOn<On, float, 3>" not in text_of("gemma/kv_cache.h"):
        problem("gemma/kv_cache.h", "keeps no floats any more; see check_numbers and the pages")


def check_code():
    for name in tracked("*.h", "*.cpp", "*.cu"):
        text = text_of(name)
        if len(text.splitlines()) > MAX_LINES and not name.startswith("tests/"):
            problem(name, f"has more than {MAX_LINES} lines")
        for call in re.findall(r"\b(?:fs|filesystem)::((?:exists|is_|file_size|status|rename|copy|create_|remove|"
                               r"canonical|absolute|read_symlink|directory_iterator)[^;{]*)", text):
            if name.split("/")[0] in ALLOWED and "(" in call and "error" not in call:
                problem(name, f"filesystem::{call.split('(')[0]} throws; give it an error_code")
        if re.search(r"(?<![\w.:_])exit\(", text):
            problem(name, "calls exit; throw instead")
        if name.endswith(".cu") and "<<<" in text:
            problem(name, "starts a kernel without a check; use launch")
        if name.endswith(".cu") and re.search(r"^\s*#\s*(if|ifdef|ifndef|else)\b", text, re.M):
            problem(name, "asks for whom it is compiled; that is cuda/core/gpu.h's work")
    for name in tracked("CMakeLists.txt", "*.cmake", "CMakePresets.json"):
        if "ffast-math" in text_of(name):
            problem(name, "uses -ffast-math")


def check_widths():
    for name in tracked("*.h", "*.cpp", "*.cu"):
        text = re.sub(r"// clang-format off.*?// clang-format on", lambda off: "\n" * off[0].count("\n"),
                      text_of(name), flags=re.S)
        for i, line in enumerate(text.splitlines(), 1):
            comment = re.match(r"\s*(//|#)", line)
            if len(line) > (120 if comment else 100) and 'R"' not in line:
                problem(f"{name}:{i}", f"has {len(line)} columns")
    apart = re.compile(r"^```.*?^```|\$\$.*?\$\$|<!-- (\w+) -->.*?<!-- /\1 -->", re.M | re.S)
    for name in tracked("*.md"):
        text = apart.sub(lambda block: "\n" * block[0].count("\n"), text_of(name))
        for i, line in enumerate(text.splitlines(), 1):
            if len(line) > 120 and not re.match(r"\||#|!\[|<img", line) and max(map(len, line.split())) < 100:
                problem(f"{name}:{i}", f"has {len(line)} columns")


def check_todos():
    for name in tracked("*.h", "*.cpp", "*.cu", "*.md", "*.svg", "*.txt"):
        for i, line in enumerate(text_of(name).splitlines(), 1):
            if re.search(r"\bTODO\b(?!`)", line):
                problem(f"{name}:{i}", line.strip())


def check_measured():
    listed = re.search(r"kMeasured\{(.*?)\}", text_of("cuda/core/measured.h"), re.S)[1]
    pages = re.findall(r"/sm_(\d+)\.md", " ".join(tracked("docs/cuda/results/*")))
    if sorted(re.findall(r"\d+", listed)) != sorted(pages):
        problem("cuda/core/measured.h", f"lists {{{listed}}}, docs/cuda/results has {{{', '.join(pages)}}}")


check_pieces()
check_includes()
check_pages()
check_versions()
check_names()
check_numbers()
check_code()
check_widths()
check_todos()
check_measured()
problems += lists.problems()
print("\n".join(problems) or "the repository keeps its rules")
sys.exit(1 if problems else 0)
