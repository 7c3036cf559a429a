#!/usr/bin/env python3
"""What the archives call defined is what a later x-transformers computes, with its default options.

    PYTHONPATH=NEW newer.py      NEW: pip install --no-deps --target NEW x-transformers==1.27.20
"""
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import x_transformers as X
import x_transformers.x_transformers as M
from torch import nn

from cases import CASES

HERE = Path(__file__).resolve().parent


def build(name, **change):
    config = dict(CASES[name]["models"][""])
    layers = {**config.pop("attn_layers"), **change}
    del config["architectures"]
    m = X.TransformerWrapper(**config, attn_layers=getattr(X, layers.pop("type"))(**layers))
    m.to_logits = nn.Linear(layers["dim"], config["num_tokens"])  # theirs has lost its bias by then
    z = np.load(HERE / f"{name}.npz")
    own = m.state_dict()
    weights = {n[2:]: torch.from_numpy(z[n].astype(np.float32)) for n in z.files if n.startswith("w/")}
    for n in list(weights):
        if n not in own:
            print("   no such weight there:", n)
            del weights[n]
        elif own[n].shape != weights[n].shape:
            same = own[n].numel() == weights[n].numel()
            weights[n] = weights[n].reshape(own[n].shape) if same else weights[n].expand(own[n].shape)
    m.load_state_dict(weights)
    return m.eval(), z, torch.from_numpy(z["in/x"]).long()


def compare(what, got, z, key):
    error, allowed = float(np.abs(got.detach().numpy() - z["out/" + key]).max()), float(z["tol/" + key][0])
    print(f"{'ok  ' if error <= allowed else 'FAR '} {what}: {error:.2g} (allowed {allowed:.2g})")
    return error <= allowed


def forward(what, name, key, words=None, **change):
    m, z, x = build(name, **change)
    return compare(what, m(x[:, :words]), z, key)


def second(what, name, key, before=lambda m, x: None):
    m, z, x = build(name)
    _, mems = m(x[:, :5], return_mems=True)
    before(m, x)
    return compare(what, m(x[:, 5:], mems=mems), z, key)


def main():
    warnings.simplefilter("ignore")
    M.LayerNorm = nn.LayerNorm  # so has theirs
    with torch.no_grad():
        fine = [
            forward("decoder_default", "decoder_default", "logits"),
            forward("decoder_default with flash", "decoder_default", "logits", attn_flash=True),
            forward("alibi with flash", "alibi", "logits", attn_flash=True),
            forward("rotary, values left alone", "rotary", "defined"),
            forward("rotary, values turned", "rotary", "logits", attn_rotary_embed_values=True),
            forward("xpos, values left alone", "xpos", "defined"),
            forward("xpos, values left alone, 6 words", "xpos", "defined_first6", 6),
            forward("rel_pos_causal", "rel_pos_causal", "logits"),
            forward("qk_norm", "qk_norm", "logits"),
            forward("qk_norm with flash", "qk_norm", "logits", attn_flash=True),
            forward("kv_heads", "kv_heads", "logits"),
            second("mems, normed", "mems_pre_norm", "defined_second"),
            second("mems with xpos", "mems_xpos", "second"),
            second("mems with alibi, a table kept", "mems_alibi", "second", lambda m, x: m(x)),
        ]
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
