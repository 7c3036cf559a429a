#!/usr/bin/env python3
"""Writes what `paligemma bench --json` measured into README.md, as a table between two markers.

    for t in bf16 f32; do build/cpu/paligemma bench -m DIR --dtype $t --json > $t.json; done
    tools/bench_table.py bf16.json f32.json --peers peers.json

The table replaces what stands between the lines `<!-- bench -->` and `<!-- /bench -->`; --print
prints it instead. It has a row for each file, and one for transformers where --peers gives what
tools/bench_peers.py wrote with --json. All must be of one model and as many threads, the program's
of as many rounds. Run it on the machine that was measured, or name that with --machine and --cores.
Needs Python alone.
"""
import argparse
import datetime
import json
import os
import pathlib
import sys

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
PHASES = ["encode", "prefill", "decode", "decode0"]
HEADS = ["weights, kernels", "a picture (encode)", "its prefix (prefill)", "a token (decode)",
         "a token behind nothing"]


def processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines()
             if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def read(path, *needed):
    """A report that has what a row needs, and what else is asked for."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        row = report["peer"] if "peer" in needed else report
        for phase in PHASES:
            row[phase]["ms"], row[phase]["multiple"]
        [report[key] for key in needed]
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}")
    except (KeyError, TypeError) as error:
        sys.exit(f"{path}: has no {error}, so it is not what the program wrote")
    return report


def three_digits(number):
    """As many decimals as three digits need: 1234, 123, 12.3, 1.23, 0.123."""
    before = len(str(int(number))) if number >= 1 else 0
    return f"{number:.{max(0, 3 - before)}f}"


def row(name, report):
    cells = [name]
    for phase in PHASES:
        more = "> " if phase in report.get("stopped", []) else ""
        ms, multiple = (three_digits(report[phase][key]) for key in ("ms", "multiple"))
        cells.append(f"{more}{ms} ({more}{multiple} ×)")
    return cells


def name_of(report):
    """What a model is called wherever its folder lies."""
    return report["model"].rstrip("/").rsplit("/", 1)[-1]


def the_one(values, what):
    if len(set(values)) > 1:
        sys.exit(f"the files are of several {what}: {', '.join(map(str, dict.fromkeys(values)))}")
    return values[0]


def table(reports, peers, arguments):
    everything = reports + ([peers] if peers else [])
    model = the_one([name_of(report) for report in everything], "models")
    model = arguments.model or model
    rounds = the_one([report["rounds"] for report in reports], "numbers of rounds")
    threads = the_one([report["threads"] for report in everything], "numbers of threads")
    rows = [row(f"{report['dtype']}, {report['kernels']}", report) for report in reports]
    measured = [report | dict(what=report["dtype"]) for report in reports]
    commands = [f"`paligemma bench -m {model} -t {threads} --rounds {rounds}` "
                f"(`--dtype {' '.join(report['dtype'] for report in reports)}`)"]
    if peers:
        peer = peers["peer"]
        rows.append(row(f"bf16, transformers {peer['transformers']}", peer))
        measured.append(peers | dict(what="beside transformers"))
        commands.append(f"`tools/bench_peers.py -m {model} --threads {threads} "
                        f"--rounds {peers['rounds']}`")
    probes = [f"{three_digits(report['probe']['gflops'])} GFLOP/s and "
              f"{three_digits(report['probe']['read_gbs'])} GB/s ({report['what']})"
              for report in measured]
    lines = [HEADS, ["---"] + ["---:"] * (len(HEADS) - 1)] + rows
    cores = f"{arguments.cores} core{'s' * (arguments.cores != 1)}"  # of the machine
    return "\n".join([
        f"{model} on {cores} of {arguments.machine}, {arguments.date}. Milliseconds, and in brackets how "
        "many times what the machine needs at least:", "",
        *("| " + " | ".join(line) + " |" for line in lines), "",
        f"The probe found {', '.join(probes)}. Made by {' and '.join(commands)}."])


def write(path, text):
    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"{path}: {error}")
    for marker in (BEGIN, END):
        if page.count(marker) != 1:
            sys.exit(f"{path}: has {marker} {page.count(marker)} times, not once")
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    if start > end:
        sys.exit(f"{path}: has {END} before {BEGIN}")
    path.write_text(f"{page[:start]}\n{text}\n{page[end:]}", encoding="utf-8")


def main():
    root = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=pathlib.Path, metavar="BENCH.json")
    parser.add_argument("--peers", type=pathlib.Path, metavar="PEERS.json")
    parser.add_argument("--machine", default=processor(), help="the processor's name")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--model", help="its name, as `-m` takes it")
    parser.add_argument("--readme", type=pathlib.Path, default=root / "README.md")
    parser.add_argument("--print", action="store_true", help="write no file")
    arguments = parser.parse_args()
    needed = ["model", "dtype", "kernels", "threads", "rounds", "probe"]
    reports = [read(path, *needed) for path in arguments.reports]
    peers = read(arguments.peers, *needed, "peer") if arguments.peers else None
    text = table(reports, peers, arguments)
    if arguments.print:
        print(text)
    else:
        write(arguments.readme, text)


main()
