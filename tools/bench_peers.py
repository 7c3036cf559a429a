"""Times Hugging Face transformers beside `paligemma bench`, on one checkpoint, in turns.

    python tools/bench_peers.py -m DIR --rounds 5 --json peers.json
    python tools/bench_peers.py -m DIR --batch 8       so many answers side by side, too

Both compute in bfloat16 on the processor, with as many threads. A round is one run of the program,
which probes the machine too, and then the same phases (fast/paligemma/measure.h) in transformers;
one before them warms up. Given are medians; a multiple is of the program's floor in the same round.
`load` is from_pretrained, once; what it maps is read later. Neither needs a tokenizer.

Attention is sdpa or eager, whichever is faster (eager where scores have a soft cap, which sdpa
lacks). A phase of transformers that takes more than --cap seconds to warm up is stopped, not run
again, and given as more than (`>`) that. Where this Python lacks torch or transformers, they are
installed into build/venv and used from there.
"""
import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from statistics import median

ENVIRONMENT = Path(__file__).resolve().parents[1] / "build" / "venv"  # of scripts/check_all.sh
PACKAGES = "torch==2.13.0 transformers==5.23.0 sentencepiece==0.2.3 pillow==13.0.0 numpy==2.4.6"
WORDS = DECODED = 8  # as in fast/paligemma/measure.cpp
PHASES = dict(encode=1, prefill=1, decode=DECODED, decode0=DECODED)  # and the steps of each
ATTENDS = dict(encode="vision_config", prefill="text_config")  # whose attention a phase is for


def import_packages():
    """Makes torch and transformers known, if need be by starting over where they are."""
    global torch, transformers
    if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        python = ENVIRONMENT / "bin" / "python"
        if not python.exists():
            venv.create(ENVIRONMENT, with_pip=True)
        if subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES.split()]).returncode:
            sys.exit(f"cannot install {PACKAGES} into {ENVIRONMENT}")
        os.execv(python, [str(python), *sys.argv])
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing of a model is fetched
    import torch
    import transformers
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


class Peer:
    """transformers' model. The method of a phase prepares it and returns what is to be timed."""

    def __init__(self, folder, batch):
        kind = transformers.PaliGemmaForConditionalGeneration
        with torch.device("meta"):
            kind(transformers.AutoConfig.from_pretrained(folder))  # imports what loading would
        start = time.perf_counter()
        self.model, report = kind.from_pretrained(
            folder, dtype=torch.bfloat16, attn_implementation="eager", output_loading_info=True)
        self.load_ms = 1e3 * (time.perf_counter() - start)
        if any(report.values()):
            sys.exit(f"{folder}: transformers does not find what it needs: {report}")
        self.model.eval()
        vision, self.text = self.model.config.vision_config, self.model.config.text_config
        side, rows = vision.image_size, (vision.image_size // vision.patch_size) ** 2
        self.depth = rows + WORDS
        self.pixels = torch.zeros(1, 3, side, side, dtype=torch.bfloat16)
        # What the numbers of a picture's rows and of a cache are does not change the time.
        self.rows = torch.randn(1, rows, self.text.hidden_size, dtype=torch.bfloat16)
        self.token = torch.ones(1, 1, dtype=torch.long)
        self.answers = batch

    def cache(self, depth, answers=1):
        cache = transformers.DynamicCache(config=self.text)
        shape = answers, self.text.num_key_value_heads, depth, self.text.head_dim
        for layer in range(self.text.num_hidden_layers if depth else 0):
            values = torch.randn(shape, dtype=torch.bfloat16)
            cache.update(values, values, layer)
        return cache

    def forward(self, cache, **inputs):
        out = self.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1].argmax(-1).tolist()

    def encode(self):
        return lambda: self.model.get_image_features(self.pixels)

    def prefill(self):
        words = self.model.get_input_embeddings()(self.token.expand(1, WORDS))
        inputs = dict(inputs_embeds=torch.cat([self.rows, words], 1),
                      token_type_ids=torch.zeros(1, self.depth, dtype=torch.long))  # all prefix
        return lambda: self.forward(self.cache(0), **inputs)

    def decode(self):
        cache = self.cache(self.depth)
        return lambda: [self.forward(cache, input_ids=self.token) for _ in range(DECODED)]

    def decode0(self):
        return lambda: [self.forward(self.cache(0), input_ids=self.token) for _ in range(DECODED)]

    def batch(self):
        cache, tokens = self.cache(self.depth, self.answers), self.token.expand(self.answers, 1)
        return lambda: [self.forward(cache, input_ids=tokens) for _ in range(DECODED)]

    def time(self, phase):
        """Milliseconds of one step."""
        with torch.inference_mode():
            run = getattr(self, phase)()
            start = time.perf_counter()
            run()
            return 1e3 * (time.perf_counter() - start) / PHASES[phase]

    def warm_up(self, cap):
        """Runs every phase and chooses how to attend; returns the bounds of those it stopped."""
        def check(*_):
            if time.perf_counter() > end:
                raise TimeoutError

        stopped = {}
        hook = torch.nn.modules.module.register_module_forward_pre_hook(check)
        for phase, steps in PHASES.items():
            end = time.perf_counter() + cap
            try:
                self.time(phase)
            except TimeoutError:
                stopped[phase] = 1e3 * cap / steps
        hook.remove()
        for phase in ATTENDS.keys() - stopped.keys():
            if phase == "prefill" and getattr(self.text, "attn_logit_softcapping", None):
                continue
            eager = self.time(phase)
            self.model.set_attn_implementation({ATTENDS[phase]: "sdpa"})
            if self.time(phase) > eager:
                self.model.set_attn_implementation({ATTENDS[phase]: "eager"})
        return stopped


def run_program(arguments):
    command = [arguments.program, "bench", "-m", arguments.model, "--dtype", "bf16",
               "--rounds", "1", "--threads", str(arguments.threads), "--json"]
    if arguments.batch:
        command += ["--batch", str(arguments.batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments.program}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def medians(reports):
    """One report, whose numbers are the medians of the reports' own."""
    if isinstance(reports[0], dict):
        return {key: medians([report[key] for report in reports]) for key in reports[0]}
    return median(reports) if isinstance(reports[0], float) else reports[0]


def print_table(ours, theirs):
    print("{model}, bf16, {threads} threads, rounds: {rounds}, kernels {kernels}".format(**ours))
    print("transformers {transformers}, torch {torch}, attention {attention}".format(**theirs))
    print("peak {gflops:.0f} GFLOP/s, reads {read_gbs:.1f} GB/s\n".format(**ours["probe"]))
    row = "{:8} {:>11} {:>16} {:>10} {:>10} {:>10} {:>14}".format
    print(row("", "ours ms", "transformers ms", "ratio", "floor ms", "ours x", "transformers x"))
    for phase in ("load", *PHASES):
        a, b, more = ours[phase], theirs[phase], ">" * (phase in theirs["stopped"])
        cells = [f"{a['ms']:.2f}", f"{more}{b['ms']:.2f}", f"{more}{b['ratio']:.2f}", "", "", ""]
        if phase != "load":  # has no floor
            cells[3:] = f"{a['floor_ms']:.2f}", f"{a['multiple']:.2f}", f"{more}{b['multiple']:.2f}"
        print(row(phase, *cells).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", "--model", type=Path, required=True, help="a checkpoint's folder")
    parser.add_argument("--program", type=Path, default=Path("build/cpu/paligemma"))
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 100), metavar="N")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--batch", type=int, default=0, choices=range(1, 1025), metavar="N")
    parser.add_argument("--cap", type=float, default=120, help="seconds a phase may take")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if not arguments.program.exists():
        parser.error(f"{arguments.program} is not there: build it, or give --program")

    if arguments.batch:
        PHASES["batch"] = DECODED
    run_program(arguments)  # warms up, and reads the files that both load
    import_packages()
    torch.set_num_threads(arguments.threads)
    peer = Peer(arguments.model, arguments.batch)
    stopped = peer.warm_up(arguments.cap)
    mine, others = [], []
    for _ in range(arguments.rounds):
        mine.append(run_program(arguments))
        others.append({})
        for phase in PHASES:
            ms, our = stopped.get(phase) or peer.time(phase), mine[-1][phase]
            others[-1][phase] = dict(ms=ms, multiple=ms / our["floor_ms"], ratio=ms / our["ms"])

    ours = medians(mine) | dict(rounds=arguments.rounds)
    attention = {phase: getattr(peer.model.config, part)._attn_implementation
                 for phase, part in ATTENDS.items()}
    theirs = medians(others) | dict(
        load=dict(ms=peer.load_ms, ratio=peer.load_ms / ours["load"]["ms"]), stopped=list(stopped),
        transformers=transformers.__version__, torch=torch.__version__, attention=attention)
    if arguments.json:
        arguments.json.write_text(json.dumps(ours | dict(peer=theirs), indent=2) + "\n")
    print_table(ours, theirs)


main()
