"""What a call of cases.json computes, with the mistakes of 1.19.0 or with them repaired ("defined")."""
import contextlib
import copy
import functools
import math
import types

import numpy as np
import torch

from models import attentions, text_model


def tie(model):
    """to_logits of a tied head is a lambda over the model it was made for; a copy needs its own."""
    for m in model.modules():
        if isinstance(getattr(m, "to_logits", None), types.FunctionType):
            m.to_logits = lambda t, m=m: t @ m.token_emb.emb.weight.t()
    return model


def double(model):
    model = tie(copy.deepcopy(model).double())
    for m in model.modules():  # the softmax is float32 by decree; here it is what is measured
        if isinstance(getattr(m, "attn_fn", None), functools.partial):
            m.attn_fn = torch.nn.functional.softmax
        if type(m).__name__ == "DynamicPositionBias":  # its distances are float32 by decree
            m.mlp[0][0].register_forward_pre_hook(lambda _, a: (a[0].double(),))
    return model


# ----------------------------------------------------------------- repairs


def norm_memories(model):
    """Memories pass through the norm before attention, as new rows do (upstream 1.27.5)."""
    for norms, block, _ in model.attn_layers.layers:
        if type(block).__name__ != "Attention" or norms[0] is None:
            continue

        def forward(x, mem=None, inner=block.forward, norm=norms[0], **k):
            return inner(x, mem=None if mem is None else norm(mem), **k)

        block.forward = forward


@contextlib.contextmanager
def values_left_alone(module):
    """xPos scales end with the sequence, as angles do (1.27.11); values are not turned (1.20.0)."""
    turned, calls = module.apply_rotary_pos_emb, 0

    def apply(t, freqs, scale=1):
        nonlocal calls
        calls += 1
        if calls % 3 == 0:  # query, key, value in turn
            return t
        return turned(t, freqs, scale[-t.shape[-2]:, :] if torch.is_tensor(scale) else scale)

    module.apply_rotary_pos_emb = apply
    yield
    module.apply_rotary_pos_emb = turned


def forget_distances(model):
    """The table kept from a longer call is cut from the wrong corner (1.22.19): let none be kept."""
    for m in model.modules():
        if type(m).__name__ == "AlibiPositionalBias":
            m.bias = None


def changed(model, call):
    """The model with a call's `numerics` and `change`."""
    numerics = call.get("numerics", "zeta")
    if isinstance(numerics, str):
        numerics = dict.fromkeys(("score_scale", "turn_values", "norm_memories"), numerics)
    model = tie(copy.deepcopy(model))
    net = text_model(model)
    if numerics["norm_memories"] == "defined":
        norm_memories(net)
    for block in attentions(net):
        if numerics.get("qk_norm") == "defined":  # what attn_qk_norm=True would have made
            block.qk_norm = block.attend.qk_norm = True
            block.attend.scale = block.qk_norm_scale
        if numerics["score_scale"] == "defined":
            block.attend.flash = False
        block.attend.flash = call.get("change", {}).get("attn_flash", block.attend.flash)
    return model, numerics["turn_values"] == "zeta"


# ----------------------------------------------------------------- calls


def arguments_of(call, inputs, mems):
    given = {}
    for name in ("mask", "context_mask"):
        if name in call:
            rows = inputs[{"mask": call.get("x", "x"), "context_mask": call.get("context")}[name]].shape[1]
            given[name] = torch.arange(rows)[None] < inputs[call[name]][:, None]
    for name in ("context", "pos", "sum_embeds", "prepend_embeds"):
        if name in call:
            given[name] = inputs[call[name]]
    if "mems" in call:
        given["mems"] = mems[call["mems"]]
    return given


def gradient(net, x, share):
    net.emb_frac_gradient, kept = share, net.emb_frac_gradient
    net.zero_grad()
    net(x).square().mean().backward()
    net.emb_frac_gradient = kept
    return net.token_emb.emb.weight.grad.clone()


def see_picture(model, image):
    kept = []
    hook = model.patch_to_embedding.register_forward_hook(lambda _m, _i, o: kept.append(o))
    encoded = model(image, return_embeddings=True)
    hook.remove()
    return {"encoded": encoded, "stem": kept[0]}


def generate(lib, model, x, call, given, outputs):
    wrapped = lib.wrap(model, **{k: call[k] for k in ("pad_value", "ignore_index") if k in call})
    made = {}
    # A threshold of 0.99 keeps one word: the draw has no choice.
    words = functools.partial(wrapped.generate, filter_logits_fn=lib.top_k, filter_thres=0.99, **given)
    if "one_axis" in outputs.values():
        return {"one_axis": words(x[0], call["steps"])}
    made["generated"] = words(x, call["steps"])
    if "eos" in call:
        made["eos"] = made["generated"][0, 2].view(1)
        made["generated"] = words(x, call["steps"], eos_token=int(made["eos"]))
    return made


def answer(lib, model, call, inputs, mems):
    """What one call gives, by what it is. Memories that it leaves are the first of `mems`' next entry."""
    kind, wanted = call.get("kind", "forward"), call["outputs"].values()
    if kind == "tables":
        import tables

        return tables.make(lib, inputs["logits"])
    made, given = {}, arguments_of(call, inputs, mems)
    if "image" in call:
        encoder = model.encoder if hasattr(model, "encoder") else model
        made.update(see_picture(encoder, inputs[call["image"]]))
        if encoder is model:
            return {**made, "classes": model(inputs[call["image"]])}
        given["context"] = made["encoded"]
    net = text_model(model)
    x = inputs[call.get("x", "x")][:call.get("rows"), call.get("from", 0):call.get("to")]
    if kind == "generate":
        return generate(lib, net, x, call, given, call["outputs"])
    if kind == "loss":
        settings = {k: call[k] for k in ("pad_value", "ignore_index", "mask_prob") if k in call}
        return {"loss": lib.loss(lib.wrap(net, **settings), x, **given)}
    if kind == "gradient":
        return {"gradient": gradient(net, x, net.emb_frac_gradient), "whole_gradient": gradient(net, x, 1.0)}
    made["logits"], inner = net(x, return_intermediates=True, **given)
    made["hidden"] = inner.layer_hiddens
    made["attention"] = [a.post_softmax_attn for a in inner.attn_intermediates]
    if "embeddings" in wanted:
        made["embeddings"] = net(x, return_embeddings=True, **given)
    if "z_loss" in wanted:
        made["z_loss"] = net(x, return_attn_z_loss=True, **given)[1].attn_z_loss
    if net.max_mem_len:
        made["mems"] = net(x, return_mems=True, **given)[1]
    return made


def answers(lib, parent, case, inputs):
    """All outputs of a case, in order."""
    made, mems = {}, []
    for call in case["calls"]:
        model, turn_values = None, True
        if parent is not None:
            model, turn_values = changed(getattr(parent, call["model"]) if "model" in call else parent, call)
            forget_distances(model)
            if "table_of" in call:
                table = case["calls"][call["table_of"]]
                answer(lib, model, table, inputs, mems)
        with contextlib.nullcontext() if turn_values else values_left_alone(lib.module):
            got = answer(lib, model, call, inputs, mems)
        mems.append(got.get("mems"))
        if call.get("kind") == "tables":
            return got
        for name, what in call["outputs"].items():
            if isinstance(got[what], (list, tuple)):
                made.update({f"{name}{n:02}": t for n, t in enumerate(got[what])})
            else:
                made[name] = got[what]
    return {name: t.detach() for name, t in made.items()}


def tolerance(single, exact):
    finite = np.isfinite(single)
    if not finite.any():
        return 0.0
    largest = float(np.abs(single[finite]).max())
    error = float(np.abs(single[finite].astype(np.float64) - exact[finite]).max())
    return max(8 * error, 4 * largest * 2.0**-24)
