#!/usr/bin/env python3
"""Kernels compiled for a newer processor keep to themselves.

    tests/fast/weak_symbols_test.py OBJECT ...

Of an inline function that several objects hold, the linker keeps one for all: the copy of an object
compiled for AVX-512 may then run, and fail, on every processor. So these objects have none: what
kernels call is in an unnamed namespace, or inlined always. CMake compiles them once more without any
other inlining, for an optimiser hides what another one would not.
"""
import re
import subprocess
import sys

ALLOWED = {"__clang_call_terminate"}  # clang's own: two calls
problems = []
for path in sys.argv[1:]:
    symbols = subprocess.run(["nm", "--demangle", path], capture_output=True, text=True, check=True)
    problems += [f"{path}: {name}" for name in re.findall(r" W (.*)", symbols.stdout)
                 if name not in ALLOWED]
print("\n".join(problems) or "no weak functions")
sys.exit(1 if problems or not sys.argv[1:] else 0)
