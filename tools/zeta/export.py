"""Writes config.json and model.safetensors from a PyTorch module of zeta 2.8.8 or x-transformers 1.19.0.

    from export import export
    export(model, "models/mine", vocabulary=["a", "b"], start_tokens=[0], eos_token=1)

    python tools/zeta/export.py train.py:make_model weights.pt models/mine

The second form calls make_model() of train.py, loads weights.pt, a state_dict(), and exports. A model is a
PalmE, a Transformer (TransformerWrapper), a ViTransformerWrapper, or the AutoRegressiveWrapper round one.
Its arguments are read off the module, so nobody types them; what has its default is left out. Options
that docs/zeta/config.md does not support are written as well: the program then refuses them by name.

numerics: "zeta" for what was trained with these versions; docs/zeta/config.md, "Whose numbers".
"""
import argparse
import importlib.util
import json
import math
import struct
from pathlib import Path

import torch
from torch import nn

DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def differing(said, defaults):
    return {name: value for name, value in said.items() if value != defaults.get(name, ...)}


def called(module):
    return type(module).__name__


# ----------------------------------------------------------------- arguments of layers


def feed_forward_arguments(ff, dim):
    first, last = ff[0], ff[-1]
    glu = called(first) == "GLU"
    activation = called(first.act if glu else first[-1])
    inner = last.in_features
    mult = inner // dim if inner % dim == 0 else inner / dim
    while int(dim * mult) < inner:
        mult = math.nextafter(mult, math.inf)
    return differing({
        "ff_mult": mult, "ff_glu": glu, "ff_swish": activation == "SiLU",
        "ff_relu_squared": activation == "ReluSquared", "ff_no_bias": last.bias is None,
        "ff_glu_mult_bias": glu and isinstance(first.mult_bias, nn.Parameter),
        "ff_post_act_ln": any(isinstance(m, nn.LayerNorm) for m in ff),
        "ff_dim_out": last.out_features,
    }, {"ff_mult": 4, "ff_dim_out": dim, **dict.fromkeys(FLAGS, False)})


def attention_arguments(block):
    heads, attend = block.heads, block.attend
    size = block.to_q.out_features // heads
    out = block.to_out[0] if block.attn_on_attn else block.to_out
    unit = block.qk_norm
    said = {
        "heads": heads, "attn_dim_head": size, "attn_kv_heads": block.kv_heads, "attn_qk_norm": unit,
        "attn_qk_norm_dim_scale": unit and block.qk_norm_dim_scale, "attn_flash": attend.flash,
        "attn_max_attend_past": block.max_attend_past, "attn_talking_heads": attend.talking_heads,
        "attn_head_scale": block.head_scale, "attn_sparse_topk": block.sparse_topk,
        "attn_num_mem_kv": block.num_mem_kv, "attn_on_attn": block.attn_on_attn,
        "attn_gate_values": block.to_v_gate is not None, "attn_shared_kv": block.to_v is None,
        "attn_tensor_product": block.to_r is not None, "attn_add_zero_kv": attend.add_zero_kv,
        "attn_value_dim_head": out.in_features // heads,
    }
    if unit:
        said.update({"attn_qk_norm_groups": block.qk_norm_groups, "attn_qk_norm_scale": block.qk_norm_scale})
    return differing(said, {
        "heads": 8, "attn_dim_head": 64, "attn_kv_heads": heads, "attn_max_attend_past": None,
        "attn_sparse_topk": None, "attn_num_mem_kv": 0, "attn_value_dim_head": size,
        "attn_qk_norm_groups": 1, "attn_qk_norm_scale": 10, **dict.fromkeys(FLAGS, False)})


def position_arguments(layers, heads, size):
    bias, rotary, said = layers.rel_pos, layers.rotary_pos_emb, {}
    if called(bias) == "AlibiPositionalBias":
        said = {"alibi_pos_bias": True, **differing({"alibi_num_heads": bias.heads}, {"alibi_num_heads": heads})}
    elif called(bias) == "RelativePositionBias":
        said = {"rel_pos_bias": True, "rel_pos_num_buckets": bias.num_buckets,
                "rel_pos_max_distance": bias.max_distance}
    elif called(bias) == "DynamicPositionBias":
        said = {"dynamic_pos_bias": True, "dynamic_pos_bias_mlp_depth": len(bias.mlp) - 1,
                "dynamic_pos_bias_log_distance": bias.log_distance,
                "dynamic_pos_bias_norm": any(isinstance(m, nn.LayerNorm) for m in bias.modules())}
    if rotary is None:
        return said
    xpos, f = rotary.scale is not None, rotary.inv_freq
    R = 2 * len(f)
    # The factor itself is not kept, but the last frequency is 10000^-((R - 2) / R) over it.
    rescale = 10000.0 ** -((R - 2) / R) / float(f[-1])
    said["rotary_xpos" if xpos else "rotary_pos_emb"] = True
    return {**said, **differing({
        "rotary_emb_dim": R, "rotary_interpolation_factor": rotary.interpolation_factor,
        "rotary_xpos_scale_base": rotary.scale_base if xpos else 512,
        "rotary_base_rescale_factor": float(f"{rescale:.6g}"),
    }, {"rotary_emb_dim": max(size // 2, 32), "rotary_interpolation_factor": 1,
        "rotary_xpos_scale_base": 512, "rotary_base_rescale_factor": 1})}


def order_arguments(layers, macaron):
    """Of blocks: how often what is repeated, or all of them."""
    types = list(layers.layer_types)
    only_cross = layers.cross_attend and "a" not in types
    layer = ["f"] * macaron + ["a"] * (not only_cross) + ["c"] * layers.cross_attend + ["f"]
    said = {"macaron": macaron, "custom_layers": None if types == layer * layers.depth else types}
    if called(layers) != "CrossAttender":
        said.update({"cross_attend": layers.cross_attend, "only_cross": only_cross})
    return differing(said, {"custom_layers": None, **dict.fromkeys(FLAGS, False)})


def norm_arguments(layers):
    norms = [norm for norms, _, _ in layers.layers for norm in norms if norm is not None]
    residual = layers.layers[0][2]
    gated = called(residual) == "GRUGating"
    scale = residual.residual_scale
    return differing({
        "use_scalenorm": called(norms[0]) == "ScaleNorm", "use_rmsnorm": called(norms[0]) == "RMSNorm",
        "use_simple_rmsnorm": called(norms[0]) == "SimpleRMSNorm", "sandwich_norm": layers.sandwich_norm,
        "resi_dual": layers.resi_dual, "pre_norm": layers.pre_norm or layers.resi_dual,
        "resi_dual_scale": layers.resi_dual_scale, "gate_residual": gated, "scale_residual": scale is not None,
        "scale_residual_constant": 1 if gated else residual.scale_residual_constant,
        "residual_attn": layers.residual_attn, "cross_residual_attn": layers.cross_residual_attn,
    }, {"pre_norm": True, "resi_dual_scale": 1, "scale_residual_constant": 1, **dict.fromkeys(FLAGS, False)})


def layer_arguments(layers):
    """What Encoder, Decoder or CrossAttender was called with."""
    blocks, shifts = [block for _, block, _ in layers.layers], 0
    if any(called(b) == "ShiftTokens" for b in blocks):
        shifts = max(blocks[0].shifts)
        blocks = [b.fn for b in blocks]
    macaron = any(called(b) == "Scale" for b in blocks)
    blocks = [b.fn if called(b) == "Scale" else b for b in blocks]
    said = {"type": called(layers), "dim": layers.dim, "depth": layers.depth}
    attention = [b for b in blocks if hasattr(b, "attend")]
    heads, size = 8, 64
    if attention:
        said.update(attention_arguments(attention[0]))
        heads, size = said.get("heads", heads), said.get("attn_dim_head", size)
    forward = [b for b in blocks if not hasattr(b, "attend")]
    said.update(feed_forward_arguments(forward[0].ff, layers.dim) if forward else {})
    said.update(position_arguments(layers, heads, size))
    return {**said, **order_arguments(layers, macaron), **norm_arguments(layers),
            **({"shift_tokens": shifts} if shifts else {})}


FLAGS = """ff_glu ff_swish ff_relu_squared ff_no_bias ff_glu_mult_bias ff_post_act_ln attn_qk_norm
    attn_qk_norm_dim_scale attn_flash attn_talking_heads attn_head_scale attn_on_attn attn_gate_values
    attn_shared_kv attn_tensor_product attn_add_zero_kv macaron cross_attend only_cross use_scalenorm
    use_rmsnorm use_simple_rmsnorm sandwich_norm resi_dual gate_residual scale_residual residual_attn
    cross_residual_attn post_emb_norm tie_embedding scaled_sinu_pos_emb l2norm_embed""".split()


# ----------------------------------------------------------------- arguments of models


def transformer_arguments(net):
    layers = net.attn_layers
    tied = not isinstance(net.to_logits, nn.Module)
    rows = called(net.pos_emb)
    others = layers.rotary_pos_emb is not None or called(layers.rel_pos) == "RelativePositionBias"
    return {
        "architectures": ["ZetaTransformer"], "num_tokens": net.num_tokens, "max_seq_len": net.max_seq_len,
        **differing({
            "emb_dim": net.emb_dim, "max_mem_len": net.max_mem_len, "shift_mem_down": net.shift_mem_down,
            "post_emb_norm": isinstance(net.post_emb_norm, nn.LayerNorm), "tie_embedding": tied,
            "num_memory_tokens": net.num_memory_tokens, "l2norm_embed": net.l2norm_embed,
            "logits_dim": net.num_tokens if tied else net.to_logits.out_features,
            "use_abs_pos_emb": others or rows != "always", "emb_frac_gradient": net.emb_frac_gradient,
            "scaled_sinu_pos_emb": rows == "ScaledSinusoidalEmbedding",
        }, {"emb_dim": layers.dim, "max_mem_len": 0, "shift_mem_down": 0, "num_memory_tokens": 0,
            "logits_dim": net.num_tokens, "use_abs_pos_emb": True, "emb_frac_gradient": 1,
            **dict.fromkeys(FLAGS, False)}),
        "attn_layers": layer_arguments(layers)}


def vision_arguments(vit):
    side = math.isqrt(vit.pos_embedding.shape[1])
    channels = vit.patch_to_embedding[1].in_features // vit.patch_size**2
    classes = vit.mlp_head.out_features if isinstance(vit.mlp_head, nn.Linear) else None
    return {
        "architectures": ["ViTransformerWrapper"], "image_size": side * vit.patch_size,
        "patch_size": vit.patch_size,
        **differing({"channels": channels, "num_classes": classes,
                     "post_emb_norm": isinstance(vit.post_emb_norm, nn.LayerNorm)},
                    {"channels": 3, "num_classes": None, "post_emb_norm": False}),
        "attn_layers": layer_arguments(vit.attn_layers)}


def palme_arguments(model):
    vision, text = vision_arguments(model.encoder), transformer_arguments(model.decoder.net)
    encoder, decoder = vision["attn_layers"], text["attn_layers"]
    known = {"type", "dim", "depth", "heads", "cross_attend", "alibi_pos_bias", "alibi_num_heads",
             "rotary_xpos", "attn_flash", "attn_qk_norm"}
    more = {*encoder} - {"type", "dim", "depth", "heads"} | {*decoder} - known
    more |= {*vision} - {"architectures", "image_size", "patch_size", "attn_layers"}
    more |= {*text} - {"architectures", "num_tokens", "max_seq_len", "use_abs_pos_emb", "attn_layers"}
    if more:
        raise ValueError("not a PalmE as zeta makes them: " + ", ".join(sorted(more)))
    heads = decoder.get("heads", 8)
    return {
        "architectures": ["PalmE"], "image_size": vision["image_size"], "patch_size": vision["patch_size"],
        "encoder_dim": encoder["dim"], "encoder_depth": encoder["depth"],
        "encoder_heads": encoder.get("heads", 8), "num_tokens": text["num_tokens"],
        "max_seq_len": text["max_seq_len"], "decoder_dim": decoder["dim"], "decoder_depth": decoder["depth"],
        "decoder_heads": heads, "alibi_num_heads": decoder.get("alibi_num_heads", heads),
        "use_abs_pos_emb": called(model.decoder.net.pos_emb) != "always",
        "cross_attend": decoder.get("cross_attend", False),
        "alibi_pos_bias": decoder.get("alibi_pos_bias", False),
        "rotary_xpos": decoder.get("rotary_xpos", False), "attn_flash": decoder.get("attn_flash", False),
        "qk_norm": decoder.get("attn_qk_norm", False)}


def arguments_of(model):
    """config.json's arguments, and the module whose state_dict() is the checkpoint."""
    if hasattr(model, "encoder") and hasattr(model, "decoder"):
        return palme_arguments(model), model
    if hasattr(model, "net"):
        model = model.net
    if hasattr(model, "patch_to_embedding"):
        return vision_arguments(model), model
    return transformer_arguments(model), model


# ----------------------------------------------------------------- files


def save_safetensors(path, tensors):
    header, data = {}, []
    begin = 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        bytes_of = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [begin, begin + len(bytes_of)]}
        begin += len(bytes_of)
        data.append(bytes_of)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def export(model, folder, numerics="zeta", **words):
    """words: vocabulary, start_tokens, eos_token."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config, module = arguments_of(model)
    config = {**config, "numerics": numerics, **words}
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    save_safetensors(folder / "model.safetensors", module.state_dict())
    return config


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("maker", help="FILE.py:FUNCTION, which makes the model")
    arguments.add_argument("weights", help="what torch.save made of its state_dict()")
    arguments.add_argument("out")
    arguments.add_argument("--numerics", choices=("zeta", "defined"), default="zeta")
    a = arguments.parse_args()
    file, function = a.maker.rsplit(":", 1)
    spec = importlib.util.spec_from_file_location("maker", file)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    model = getattr(maker, function)()
    model.load_state_dict(torch.load(a.weights, map_location="cpu", weights_only=True))
    export(model, a.out, a.numerics)


if __name__ == "__main__":
    main()
