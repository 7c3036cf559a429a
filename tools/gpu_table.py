#!/usr/bin/env python3
"""Prints what scripts/gpu_run.sh measured, as one table in Markdown.

    tools/gpu_table.py FOLDER

FOLDER holds the results of benchmarks as Google Benchmark writes them (*.json), and machine.txt with
lines "GPU: ...". docs/cuda/benchmarks.md says how to read a line. Needs Python alone.
"""
import json
import pathlib
import sys

MICROSECONDS = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}


def read_machine(folder):
    path = folder / "machine.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def read_results(folder):
    """(context of the last file, its lines of all files, problems)"""
    context, benchmarks, problems = {}, [], []
    for path in sorted(folder.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        try:
            report = json.loads(text)
        except ValueError:
            problems.append(f"{path.name} is not complete: its program was stopped, or failed")
            try:  # what stands before its last whole line of results
                report = json.loads(text[:text.rindex("\n    }") + 6] + "]}")
            except ValueError:
                continue
        benchmarks += report["benchmarks"]
        context = report["context"]
    return context, benchmarks, problems


def three_digits(number):
    digits = max(0, 2 - len(str(int(number))) + 1) if number >= 1 else 3
    return f"{number:.{digits}f}"


def rate(entry):
    if "flop/s" in entry and entry.get("label") != "memory":
        return f"{three_digits(entry['flop/s'] / 1e12)} TFLOP/s"
    return f"{three_digits(entry.get('bytes_per_second', 0.0) / 1e9)} GB/s"


def row(entry):
    # piece/kernel/dtype/T:1/D:2048/iterations:20/manual_time
    parts = [part for part in entry["name"].split("/")
             if part != "manual_time" and not part.startswith("iterations:")]
    piece, kernel, dtype = (parts + ["", "", ""])[:3]
    shape = " ".join(part.replace(":", " ") for part in parts[3:])
    cells = [piece, kernel, dtype, shape]
    if entry.get("error_occurred"):
        return cells + ["not measured: " + entry.get("error_message", ""), "", ""]
    time = entry["real_time"] * MICROSECONDS[entry["time_unit"]]
    share = f"{100 * entry['share']:.0f}% of {entry.get('label', '')}" if "share" in entry else ""
    return cells + [three_digits(time), rate(entry), share]


def table(benchmarks):
    heads = ["piece", "kernel", "numbers", "shape", "µs", "rate", "share of the yardstick"]
    lines = [heads, ["---"] * 4 + ["---:"] * 3] + [row(entry) for entry in benchmarks]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    machine = read_machine(folder)
    context, benchmarks, problems = read_results(folder)
    if not benchmarks:
        print("\n".join(problems))
        print("no GPU: nothing was measured" if machine.get("GPU", "none").startswith("none")
              else "nothing was measured")
        return
    gpu = context.get("gpu", machine.get("GPU", "unknown GPU"))
    versions = int(context.get("cuda_runtime", 0))
    print(f"{gpu}, driver {machine.get('driver', 'unknown')}, "
          f"CUDA {versions // 1000}.{versions % 1000 // 10}, "
          f"commit {machine.get('commit', 'unknown')}, {machine.get('date', 'no date')}\n")
    print(table(benchmarks))
    print("".join(f"\n{problem}" for problem in problems))


main()
