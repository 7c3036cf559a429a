"""Times zeta's own PalmE under PyTorch beside `paligemma bench`, on the same weights, in turns.

    python tools/zeta/bench_peers.py --zeta WHEEL --rounds 5 --json peers.json

WHEEL is a folder into which zetascale 2.8.8's wheel was unpacked (pip download --no-deps, unzip); without it
x-transformers 1.19.0 is measured, which is the same code. The model is PalmE at its defaults with random
weights, written by `paligemma init`; both compute in float32 with as many threads.

forward     a picture and 64 words: encoder, decoder, logits of every row
generate    a picture and a word, then 64 more words, greedily. PyTorch loops over forward, which computes
            everything again, as zeta's own generate raises; the program keeps what stays exact. Two models:
            "defined", where keys and values are kept, and "zeta", where xPos turns values and only the
            picture's and the cross-attention's can be
memory      the most that a process held, in MiB, once it had done both (needs GNU time)
"""
import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden/zeta"))
import models  # noqa: E402

WORDS = 64
NUMERICS = "defined", "zeta"


def tensors_of(path):
    """Those of a safetensors file of bf16, as float32."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        numbers = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.bfloat16)
        yield name, numbers.float().reshape(entry["shape"])


class Peer:
    def __init__(self, lib, folder):
        config = json.loads((folder / "config.json").read_text())
        config.pop("numerics")
        self.model = models.build(lib, config).eval()
        lack = self.model.load_state_dict(dict(tensors_of(folder / "model.safetensors")), strict=False)
        assert not lack.unexpected_keys and all("rotary" in key for key in lack.missing_keys), lack
        self.picture = torch.zeros(1, 3, 256, 256)

    def forward(self, words):
        rows = self.model.encoder(self.picture, return_embeddings=True)
        return self.model.decoder.net(words, context=rows)

    def time_forward(self):
        return timed(lambda: self.forward(torch.zeros(1, WORDS, dtype=torch.long)))

    def time_generate(self):
        def run():
            words = torch.zeros(1, 1, dtype=torch.long)
            for _ in range(WORDS):
                words = torch.cat([words, self.forward(words)[:, -1:].argmax(-1)], 1)
        return timed(run)


def timed(work):
    with torch.inference_mode():
        start = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - start)


def run_program(arguments, *words):
    """What it printed, and MiB that it held at most: GNU time's, as a child of this process begins with its size."""
    with tempfile.NamedTemporaryFile("r") as held:
        command = ["/usr/bin/time", "-f", "%M", "-o", held.name, arguments.program, *words,
                   "--threads", str(arguments.threads)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{arguments.program}: exit {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout), int(held.read()) / 1024


def program_round(arguments, folders, pixels):
    dtype = "--dtype", "f32"
    bench, memory = run_program(arguments, "bench", "-m", folders["defined"], *dtype, "--rounds", "1", "--json")
    found = dict(forward=bench["encode"]["ms"] + bench["pass"]["ms"], memory=memory)
    for numerics, folder in folders.items():
        said, memory = run_program(arguments, "-m", folder, *dtype, "--pixels", pixels, "--tokens", "0",
                                   "-n", str(WORDS), "--json", "-q")
        spent = said["timings_ms"]
        found["generate " + numerics] = sum(spent[phase] for phase in ("vit", "prefill", "decode"))
        found["memory"] = max(found["memory"], memory)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--zeta", type=Path, help="an unpacked wheel of zetascale 2.8.8")
    parser.add_argument("--program", type=Path, default=ROOT / "build/cpu/paligemma")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {}
        for numerics in NUMERICS:
            config = Path(scratch, numerics + ".json")
            config.write_text(json.dumps({"architectures": ["PalmE"], "qk_norm": False, "numerics": numerics}))
            folders[numerics] = Path(scratch, numerics)
            subprocess.run([arguments.program, "init", config, folders[numerics]], check=True)
        pixels = Path(scratch, "pixels.npy")
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 256, 256), }"
        pixels.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(4 * 3 * 256 * 256))

        peer = Peer(models.zeta(arguments.zeta) if arguments.zeta else models.ancestor(), folders["zeta"])
        rounds = []
        for i in range(arguments.rounds + 1):
            ours, forward = program_round(arguments, folders, pixels), peer.time_forward()
            generate = peer.time_generate()
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            theirs = {"forward": forward, "generate defined": generate, "generate zeta": generate,
                      "memory": memory}
            if i > 0:  # the first one warms up
                rounds.append({name: (ours[name], theirs[name]) for name in theirs})

    print(f"PalmE, f32, {arguments.threads} threads, {arguments.rounds} rounds, torch {torch.__version__}\n")
    row = "{:18} {:>12} {:>12} {:>8}".format
    print(row("", "ours", "PyTorch", "ratio"))
    table = {}
    for name in rounds[0]:
        ours, theirs = (median(r[name][i] for r in rounds) for i in range(2))
        ratio = median(r[name][1] / r[name][0] for r in rounds)
        table[name] = dict(ours=ours, theirs=theirs, ratio=ratio)
        print(row(name + (", MiB" if name == "memory" else ", ms"), f"{ours:.1f}", f"{theirs:.1f}", f"{ratio:.2f}"))
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n")


main()
