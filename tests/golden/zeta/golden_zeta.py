#!/usr/bin/env python3
"""Makes the archives of tests/golden/zeta and cases.json. Run as tests/golden/zeta/README.md says.

    golden_zeta.py [OUT]            writes OUT/CASE.npz and OUT/cases.json; OUT is this folder if left out
    golden_zeta.py OUT --seed 1     other weights and inputs
    golden_zeta.py OUT --only palme tables
    golden_zeta.py --check          makes all again and compares
    golden_zeta.py --zeta DIR       DIR: an unpacked wheel of zetascale; the same by zeta's own file, bit by bit
"""
import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import models
from calls import answers, double, tie, tolerance
from cases import CASES, tier

HERE = Path(__file__).resolve().parent
SEEDS = {"palme": 1166}  # 6 different words of 8 in each row, none decided by less than 0.1


def to_double(inputs):
    return {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}


def stored(tensor):
    data = tensor.numpy()
    small = data.astype(np.float16)
    return small.astype("<f2") if np.array_equal(small.astype(np.float32), data) else data.astype("<f4")


def make(name, lib, shift=0):
    case, parent, arrays = CASES[name], None, {}
    if case["models"]:
        parent = models.holder(lib, case["models"])
        tie(models.randomise(parent, SEEDS.get(name, sum(map(ord, name))) + shift))
        arrays.update({"w/" + key: stored(value) for key, value in parent.state_dict().items()})
    inputs = models.draw(case["inputs"], shift)
    arrays.update({"in/" + key: value.numpy().astype("<f4") for key, value in inputs.items()})
    with torch.set_grad_enabled(any(c.get("kind") == "gradient" for c in case["calls"])):
        out = answers(lib, parent, case, inputs)
        exact = {} if parent is None else answers(lib, double(parent), case, to_double(inputs))
    for key, value in out.items():
        single = np.atleast_1d(value.numpy().astype("<f4"))
        arrays["out/" + key] = single
        if not value.is_floating_point():
            if key in exact and not torch.equal(value, exact[key]):
                print(f"  words of float64 differ: {name} {key}")
            continue
        finite = np.abs(single[np.isfinite(single)])
        allowed = 8 * 2.0**-24 * max(1e-9, float(finite.max()))  # a table: a handful of operations
        if key in exact:
            allowed = tolerance(single, np.atleast_1d(exact[key].numpy().astype(np.float64)))
        if allowed > 1e-3 * max(float(finite.max()), 1e-6):
            print(f"  wide: {name} {key}: {allowed:.2g} of {finite.max():.2g}")
        arrays["tol/" + key] = np.array([allowed], "<f4")
    return arrays


def about(name, arrays):
    """The case as cases.json says it: a tier beside each output."""
    made, calls = [k[4:] for k in arrays if k.startswith("out/")], []
    for call in CASES[name]["calls"]:
        outputs = {k: {"is": what, "tier": tier(name, k)} for k, what in call["outputs"].items()}
        if call.get("kind") == "tables":
            outputs = {k: {"tier": tier(name, k)} for k in made}
        calls.append({**call, "outputs": outputs})
    return {"proves": CASES[name]["proves"], "models": CASES[name]["models"], "calls": calls}


def write(value, indent=""):
    """JSON: on one line what fits."""
    line = json.dumps(value)
    if len(indent + line) < 110 or not isinstance(value, (dict, list)):
        return line
    deeper = indent + " "
    if isinstance(value, list):
        return "[\n" + ",\n".join(deeper + write(v, deeper) for v in value) + f"\n{indent}]"
    lines = (f"{deeper}{json.dumps(k)}: {write(v, deeper)}" for k, v in value.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def compare(name, new, old):
    wrong = 0
    for k in new:
        far = new[k].shape != old[k].shape
        if not far and k.startswith("out/"):
            allowed = old["tol" + k[3:]][0] if "tol" + k[3:] in old.files else 0
            with np.errstate(invalid="ignore"):
                far = not np.all((new[k] == old[k]) | (np.abs(new[k] - old[k]) <= allowed))
        wrong += far
        if far:
            print("FAR", name, k)
    return wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("out", nargs="?", type=Path, default=HERE)
    arguments.add_argument("--only", nargs="+", default=list(CASES))
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--zeta")
    a = arguments.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    lib, other = models.ancestor(), models.zeta(a.zeta) if a.zeta else None
    wrong, cases, bytes_in_all = 0, {}, 0
    a.out.mkdir(parents=True, exist_ok=True)
    for name in a.only:
        arrays, file = make(name, lib, a.seed), a.out / f"{name}.npz"
        if a.check:
            wrong += compare(name, arrays, np.load(file))
        elif other:
            theirs = make(name, other, a.seed)
            same = all(np.array_equal(arrays[k], theirs[k], equal_nan=True) for k in theirs)
            print("same bits" if same else "DIFFERENT", name)
            wrong += not same
        else:
            np.savez_compressed(file, **arrays)
            cases[name] = about(name, arrays)
            bytes_in_all += file.stat().st_size
            print(f"{file.stat().st_size:8}  {name}")
    if not (a.check or other):
        versions = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__, "einops": "0.8.1",
                    "x-transformers": "1.19.0", "python": sys.version.split()[0]}
        (a.out / "cases.json").write_text(write({"made_with": versions, "cases": cases}) + "\n")
        print(f"{bytes_in_all:8}  in all, {len(cases)} cases")
    print("wrong:", wrong) if wrong else None
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
