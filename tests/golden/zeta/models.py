"""The models of zeta, built from what config.json says, of x-transformers 1.19.0 or of zeta's own files."""
import ast
import importlib.util
import math
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn


def ancestor():
    import x_transformers as X
    import x_transformers.autoregressive_wrapper as A
    import x_transformers.x_transformers as M

    return types.SimpleNamespace(
        Transformer=X.TransformerWrapper, ViT=X.ViTransformerWrapper, Encoder=X.Encoder, Decoder=X.Decoder,
        CrossAttender=X.CrossAttender, wrap=X.AutoregressiveWrapper, module=M,
        loss=lambda wrapper, x, **k: wrapper(x, **k), top_k=A.top_k, top_p=A.top_p, top_a=A.top_a)


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def zeta(folder):
    """zeta's two files alone: importing the package takes a dozen others."""
    folder = Path(folder) / "zeta"
    wanted = {"exists", "once", "eval_decorator", "top_a", "top_k", "top_p"}
    source = (folder / "utils/main.py").read_text()
    picked = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name in wanted]
    main = types.ModuleType("zeta.utils.main")
    exec("import torch, math\nfrom math import ceil\nfrom functools import wraps\n"
         "import torch.nn as nn\nimport torch.nn.functional as F\n"
         + "\n".join(ast.unparse(n) for n in picked), main.__dict__)
    for name in ("zeta", "zeta.utils"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["zeta.utils.main"] = main
    M = load("zeta_transformer", folder / "structs/transformer.py")
    A = load("zeta_wrapper", folder / "structs/auto_regressive_wrapper.py")

    def wrap(net, **k):
        wrapper = A.AutoRegressiveWrapper(net, **k)
        wrapper.speculative = False  # generate() reads it, __init__ forgets it
        return wrapper

    return types.SimpleNamespace(
        Transformer=M.Transformer, ViT=M.ViTransformerWrapper, Encoder=M.Encoder, Decoder=M.Decoder,
        CrossAttender=M.CrossAttender, wrap=wrap, module=M,
        loss=lambda wrapper, x, **k: wrapper(x, **k)[1],  # (logits, loss)
        top_k=main.top_k, top_p=main.top_p, top_a=None)  # its own raises a TypeError


class PalmE(nn.Module):
    """zeta.models.palme, line by line; heads are of 64, as nothing there can set them."""

    def __init__(self, lib, image_size=256, patch_size=32, encoder_dim=512, encoder_depth=6, encoder_heads=8,
                 num_tokens=20000, max_seq_len=1024, decoder_dim=512, decoder_depth=6, decoder_heads=8,
                 alibi_num_heads=4, use_abs_pos_emb=False, cross_attend=True, alibi_pos_bias=True,
                 rotary_xpos=True, attn_flash=True, qk_norm=True):
        super().__init__()
        self.encoder = lib.ViT(
            image_size=image_size, patch_size=patch_size,
            attn_layers=lib.Encoder(dim=encoder_dim, depth=encoder_depth, heads=encoder_heads))
        self.decoder = lib.wrap(lib.Transformer(
            num_tokens=num_tokens, max_seq_len=max_seq_len, use_abs_pos_emb=use_abs_pos_emb,
            attn_layers=lib.Decoder(
                dim=decoder_dim, depth=decoder_depth, heads=decoder_heads, cross_attend=cross_attend,
                alibi_pos_bias=alibi_pos_bias, alibi_num_heads=alibi_num_heads, rotary_xpos=rotary_xpos,
                attn_flash=attn_flash, qk_norm=qk_norm)))


def build(lib, config):
    arguments = {k: v for k, v in config.items() if k not in ("architectures", "attn_layers")}
    if config["architectures"] == ["PalmE"]:
        return PalmE(lib, **arguments)
    layers = dict(config["attn_layers"])
    kind = layers.pop("type")
    if "custom_layers" in layers:
        layers["custom_layers"] = tuple(layers["custom_layers"])
    made = {"ZetaTransformer": lib.Transformer, "ViTransformerWrapper": lib.ViT}[config["architectures"][0]]
    return made(**arguments, attn_layers=getattr(lib, kind)(**layers))


def holder(lib, models):
    """All models of a case: one, or a module with the variants as its children."""
    if list(models) == [""]:
        return build(lib, models[""])
    parent = nn.Module()
    for name, config in models.items():
        parent.add_module(name, build(lib, config))
    return parent


def text_model(model):
    """The Transformer in a PalmE, or the model itself."""
    return model.decoder.net if hasattr(model, "encoder") else model


def attentions(model):
    return [block for _, block, _ in model.attn_layers.layers if hasattr(block, "attend")]


# ----------------------------------------------------------------- numbers


def f16(a):
    return a.astype(np.float16).astype(np.float32)


def randomise(model, seed):
    """Norms far from neutral, scores that spread; every number fits in float16."""
    rng = np.random.default_rng(seed)
    for name, p in model.named_parameters():
        shape, last = tuple(p.shape), name.rsplit(".", 1)[-1]
        n = rng.standard_normal(shape)
        if ".to_q." in name or ".to_k." in name:
            n *= 2.0 / math.sqrt(shape[-1])
        elif name == "pos_emb.scale":
            n = 0.3 + 0.0 * n
        elif last in ("mem_k", "mem_v") or "memory_tokens" in name or "embedding" in name and p.ndim == 3:
            pass
        elif "emb.weight" in name or "relative_attention_bias" in name:
            n *= 0.7
        elif p.ndim >= 2:
            n *= 1.3 / math.sqrt(np.prod(shape[1:]))
        elif last.startswith("bias"):
            n *= 0.2
        else:  # a norm's, residual's or gate's own scale
            n = 1 + 0.25 * n
        p.data.copy_(torch.from_numpy(f16(n)))
    return model.eval()


def draw(wanted, shift):
    """Inputs: literal numbers, or (seed, kind, shape); one generator for all of a seed."""
    generators, made = {}, {}
    for name, w in wanted.items():
        if isinstance(w, list):
            made[name] = torch.tensor(w)
            continue
        seed, kind, shape = w
        rng = generators.setdefault(seed, np.random.default_rng(seed + shift))
        if kind == "ids":
            made[name] = torch.from_numpy(rng.integers(0, 29, shape))
        else:
            numbers = rng.random(shape) if kind == "unit" else rng.standard_normal(shape)
            made[name] = torch.from_numpy(f16(numbers)) * (2 if kind == "wide" else 1)
    return made
