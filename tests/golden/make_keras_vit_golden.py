#!/usr/bin/env python3
"""Makes tests/golden/keras_vit: a small random PaliGemmaVit of keras_hub, its weights under the names
that transformers has for them, and what it says with each kind of pooling and of classifier activation.

    pip install keras-hub==0.32.0 keras==3.15.1 torch==2.15.0 tensorflow-cpu==2.21.0 safetensors
    KERAS_BACKEND=torch python make_keras_vit_golden.py

golden.safetensors holds `pixels` [R, R, 3] and, under the name POOLING or POOLING/ACTIVATION, what comes
out of the model; beside each NAME:tolerance, 8 times the largest difference between float32 and float64,
at least four units in the last place of the largest value.
"""
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from keras_hub.src.models.pali_gemma.pali_gemma_vit import PaliGemmaVit
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent / "keras_vit"
R, P, N, D, LAYERS, F, CLASSES = 20, 6, 3, 24, 2, 40, 14
CASES = [(None, None), ("gap", None), ("zero", None), ("map", None), (None, "gelu"),
         ("gap", "tanh"), ("zero", "softmax"), ("map", "gelu")]


# keras_hub 0.32.0 gives add_weight a policy in place of a dtype, which keras 3.15.1 looks up in a dict: without a
# hash pooling "map" raises TypeError.
keras.DTypePolicy.__hash__ = lambda policy: hash(policy.name)


def draw():
    """Weights as transformers has them: a matrix is [out, in], a convolution [out, channel, row, column]."""
    rng = np.random.default_rng(0)
    weights = {}

    def norm(name):
        weights[name + ".weight"] = 1 + 0.3 * rng.standard_normal(D)
        weights[name + ".bias"] = 0.3 * rng.standard_normal(D)

    def linear(name, *shape, gain=1.4):
        weights[name + "weight"] = rng.standard_normal(shape) * gain * np.prod(shape[1:]) ** -0.5
        weights[name + "bias"] = 0.3 * rng.standard_normal(shape[0])

    linear("vision_tower.embeddings.patch_embedding.", D, 3, P, P)
    weights["vision_tower.embeddings.position_embedding.weight"] = (
        0.3 * rng.standard_normal(((R // P) ** 2, D)))
    for i in range(LAYERS):
        layer = f"vision_tower.encoder.layers.{i}."
        norm(layer + "layer_norm1")
        norm(layer + "layer_norm2")
        for part in "qkv":
            linear(layer + f"self_attn.{part}_proj.", D, D, gain=4 if part == "q" else 1.4)
        linear(layer + "self_attn.out_proj.", D, D)
        linear(layer + "mlp.fc1.", F, D)
        linear(layer + "mlp.fc2.", D, F)
    norm("vision_tower.post_layernorm")
    weights["vision_tower.head.probe"] = rng.standard_normal((1, 1, D))
    linear("vision_tower.head.attention.in_proj_", 3 * D, D)
    linear("vision_tower.head.attention.out_proj.", D, D)
    norm("vision_tower.head.layernorm")
    linear("vision_tower.head.mlp.fc1.", D, D)  # keras_hub passes it hidden_dim
    linear("vision_tower.head.mlp.fc2.", D, D)
    linear("multi_modal_projector.linear.", CLASSES, D)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def fill(model, w):
    """Puts them where keras_hub has them: kernels are [in, out], heads an axis of their own."""
    def dense(layer, name):
        layer.kernel.assign(w[name + "weight"].T)
        layer.bias.assign(w[name + "bias"])

    def norm(layer, name):
        layer.gamma.assign(w[name + ".weight"])
        layer.beta.assign(w[name + ".bias"])

    encoder = model.get_layer("image_encoder")
    tower = "vision_tower."
    patches = encoder.vision_embeddings.patch_embedding
    patches.kernel.assign(w[tower + "embeddings.patch_embedding.weight"].transpose(2, 3, 1, 0))
    patches.bias.assign(w[tower + "embeddings.patch_embedding.bias"])
    encoder.vision_embeddings.position_embedding.embeddings.assign(
        w[tower + "embeddings.position_embedding.weight"])
    for i, block in enumerate(encoder.resblocks):
        layer = f"{tower}encoder.layers.{i}."
        norm(block.layer_norm_1, layer + "layer_norm1")
        norm(block.layer_norm_2, layer + "layer_norm2")
        for part in ("query", "key", "value"):
            dense(getattr(block.attn, part + "_proj"), layer + f"self_attn.{part[0]}_proj.")
        dense(block.attn.out_proj, layer + "self_attn.out_proj.")
        dense(block.mlp_dense_1, layer + "mlp.fc1.")
        dense(block.mlp_dense_2, layer + "mlp.fc2.")
    norm(encoder.encoder_layer_norm, tower + "post_layernorm")
    dense(model.get_layer("image_classifier"), "multi_modal_projector.linear.")
    if model.pooling != "map":
        return
    head, name = model.get_layer("pooling"), tower + "head."
    head.probe.assign(w[name + "probe"])
    rows = np.split(w[name + "attention.in_proj_weight"], 3)
    biases = np.split(w[name + "attention.in_proj_bias"], 3)
    for part, row, bias in zip(("query", "key", "value"), rows, biases):
        layer = getattr(head.mha, f"{part}_dense")
        layer.kernel.assign(row.T.reshape(D, N, D // N))
        layer.bias.assign(bias.reshape(N, D // N))
    head.mha.output_dense.kernel.assign(
        w[name + "attention.out_proj.weight"].T.reshape(N, D // N, D))
    head.mha.output_dense.bias.assign(w[name + "attention.out_proj.bias"])
    norm(head.layer_norm, name + "layernorm")
    dense(head.mlp_block.layers[0], name + "mlp.fc1.")
    dense(head.mlp_block.layers[-1], name + "mlp.fc2.")


def says(weights, pixels, pooling, activation, dtype):
    model = PaliGemmaVit(image_size=R, patch_size=P, num_heads=N, hidden_dim=D, num_layers=LAYERS,
                         intermediate_dim=F, num_classes=CLASSES, pooling=pooling,
                         classifier_activation=activation, dtype=dtype)
    fill(model, weights)
    out = model(torch.from_numpy(pixels[None].astype(dtype)))
    return out.detach().numpy().reshape(-1, CLASSES)


def main():
    HERE.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    weights = draw()
    save_file(weights, HERE / "model.safetensors")
    pixels = np.random.default_rng(1).uniform(-1, 1, (R, R, 3)).astype(np.float32)
    tensors = dict(pixels=pixels)
    for pooling, activation in CASES:
        name = (pooling or "none") + ("/" + activation if activation else "")
        single = says(weights, pixels, pooling, activation, "float32")
        double = says(weights, pixels, pooling, activation, "float64")
        tolerance = max(8 * np.abs(single - double).max(),
                        4 * np.finfo(np.float32).eps * np.abs(double).max())
        tensors[name] = np.ascontiguousarray(single, np.float32)
        tensors[name + ":tolerance"] = np.array([tolerance], np.float32)
        print(f"{name:14}{str(single.shape):10}max {np.abs(single).max():7.4f}  "
              f"tolerance {tolerance / np.abs(single).max():.1e} of it")
    save_file(tensors, HERE / "golden.safetensors")


if __name__ == "__main__":
    main()
