#!/usr/bin/env python3
"""Applies deliberate faults one at a time and reports those that no test of the piece notices.

    tests/mutations/run.py                       every list, every barrier
    tests/mutations/run.py gemma/rms_norm ...    these pieces
    tests/mutations/run.py --since main~3        pieces whose files changed since that commit
    tests/mutations/run.py --barriers [...]      no lists, only the barriers of kernels
    tests/mutations/run.py --minutes 6           barriers first, then lists by chance, while time is
    tests/mutations/run.py --check               only whether each old text stands once

A list, tests/mutations/<piece>.txt, holds one fault per paragraph: a title; `- old text`; `+ new
text`; both may have several lines. The old text stands once in the piece's files, or the list is
wrong. A title that begins with "equivalent:" marks a fault that cannot be seen; the piece's page
says why. Each fault is compiled and linked in front of the library in build/cpu, which must be up
to date.

A piece fast/... is its fast version, with what it includes of fast/; of kernels, as they are for
every processor (portable). A piece cuda/... is its kernels, compiled for the emulation with a check
of every access to memory. They need no list for their barriers: each is left out once. The piece
engine/engine is all sources of that room, as they are without kernels of a GPU.

Exits 1 if a fault survives, or is noticed though it is called equivalent, or a list is wrong.
"""
import argparse
import concurrent.futures
import itertools
import random
import sys
import time

import lists
from barriers import all_barriers, check_barrier, files_with_barriers
from programs import is_stale, once, passes_with, run

NO_TIME = "not tried, time was up"


@once
def is_sound(piece):
    """Whether its test passes without any fault, or every fault would look noticed."""
    return passes_with(piece, {})


def check(piece, title, old, new):
    """None if all is as it should be, otherwise what is not."""
    if not is_sound(piece):
        return f"{piece}: its tests fail without any fault"
    survives = passes_with(piece, lists.with_fault(piece, old, new))
    if survives != title.startswith("equivalent:"):
        return f"{piece}: {title}: " + ("survives" if survives else "is noticed")
    return None


def changed_since(commit):
    return run("git", "diff", "--name-only", commit, cwd=lists.ROOT).stdout.splitlines()


def parsed_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("pieces", nargs="*")
    parser.add_argument("--since")
    parser.add_argument("--barriers", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, help="of the order in which --minutes takes lists")
    parser.add_argument("-j", type=int, default=2)
    arguments = parser.parse_args()
    unknown = {*arguments.pieces} - {*lists.all_pieces()}
    if unknown:
        parser.error("no list and no kernels: " + ", ".join(sorted(unknown)))
    return arguments


def main():
    arguments = parsed_arguments()
    end = time.monotonic() + 60 * arguments.minutes
    pieces, changed = arguments.pieces or lists.all_pieces(), []
    if arguments.since:
        changed = changed_since(arguments.since)
        pieces = [piece for piece in pieces if any(piece in name for name in changed)]

    wrong = lists.problems()
    if wrong or arguments.check:
        print("\n".join(wrong) or "each old text stands once")
        return 1 if wrong else 0
    if is_stale(pieces):
        raise SystemExit("build/cpu is not up to date: cmake --build --preset cpu")

    asked = {*changed}.union(*(files_with_barriers(p) for p in pieces if lists.is_cuda(p)))
    left_out = [i for i, (name, _) in enumerate(all_barriers()) if name in asked]
    listed = [] if arguments.barriers else [p for p in pieces if lists.faults_of(p)]
    if arguments.minutes < float("inf"):
        seed = random.randrange(1000) if arguments.seed is None else arguments.seed
        print(f"--seed {seed}", flush=True)
        random.Random(seed).shuffle(listed)
    faults = [(piece, *fault) for piece in listed for fault in lists.faults_of(piece)]

    def check_in_time(fault):
        return check(*fault) if time.monotonic() < end else NO_TIME

    problems, untried = set(), 0
    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        for found in itertools.chain(pool.map(lambda i: check_barrier(i, pieces), left_out),
                                     pool.map(check_in_time, faults)):
            untried += found == NO_TIME
            if found not in (None, NO_TIME, *problems):
                problems.add(found)
                print(found, flush=True)
    print(f"{len(faults) - untried} of {len(faults)} faults and {len(left_out)} barriers in "
          f"{len(pieces)} pieces, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
