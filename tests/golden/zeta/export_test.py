#!/usr/bin/env python3
"""tools/zeta/export.py on every golden model: what it writes is what the model was made of.

Each model is made as cases.json says, exported, made again from the config.json that came of it and given
the tensors of model.safetensors. It must then have the same tensors under the same names, and compute the
same bits. Run with what tests/golden/zeta/README.md installs.
"""
import json
import struct
import sys
import tempfile
import warnings
from pathlib import Path

import torch

import models
from calls import tie
from cases import CASES

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools/zeta"))
from export import export  # noqa: E402

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def load(path):
    data = Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return {name: torch.frombuffer(bytearray(data[8 + size:][slice(*about["data_offsets"])]),
                                   dtype=DTYPES[about["dtype"]]).view(about["shape"])
            for name, about in json.loads(data[8:8 + size]).items()}


def answer(model):
    """Everything that it computes of something."""
    torch.manual_seed(0)
    if hasattr(model, "patch_to_embedding"):
        return model(torch.rand(2, 3, 24, 24))
    context = torch.randn(2, 5, 24)
    if hasattr(model, "encoder"):
        context = model.encoder(torch.rand(2, 3, 24, 24), return_embeddings=True)
    net = models.text_model(model)
    given = {"context": context} if net.attn_layers.cross_attend else {}
    out, inner = net(torch.randint(net.num_tokens, (2, 8)), return_intermediates=True, **given)
    return torch.cat([out.flatten(), *(h.flatten() for h in inner.layer_hiddens)])


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    lib, wrong, tried = models.ancestor(), 0, 0
    for name, case in CASES.items():
        for variant, config in case["models"].items():
            model = tie(models.randomise(models.build(lib, config), 3))
            with tempfile.TemporaryDirectory() as folder, torch.no_grad():
                said = export(model, folder)
                assert said == json.loads((Path(folder) / "config.json").read_text())
                arguments = {k: v for k, v in said.items() if k != "numerics"}
                again = tie(models.build(lib, arguments).eval())
                again.load_state_dict(load(Path(folder) / "model.safetensors"))
                same = torch.equal(answer(model), answer(again))
                same &= [*model.state_dict()] == [*again.state_dict()]
                # Of what a text alone does not show.
                same &= all({"channels": 3, **said}.get(k) == v for k, v in config.items() if k != "attn_layers")
            tried += 1
            wrong += not same
            if not same:
                print("DIFFERENT", name, variant, said)
    # What is stored has the module's own type.
    with tempfile.TemporaryDirectory() as folder:
        small = models.build(lib, CASES["embed_tied"]["models"][""]).bfloat16()
        export(small, folder, "defined", vocabulary=["é"] * 29, start_tokens=[1], eos_token=2)
        stored = load(Path(folder) / "model.safetensors")
        wrong += not all(torch.equal(v, stored[k]) for k, v in small.state_dict().items())
    print(f"{tried} models, {wrong} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
