"""Random LoRA adapters of every kind that PEFT writes, and what transformers says with them.

tests/golden/make_adapter_golden.py and compare_adapters.py share it. Weights of an adapter are as random as a
model's own, so that a wrong scale or a forgotten part changes the text.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file

sys.path.append(str(Path(__file__).parent))
import transformers_reference as reference

LANGUAGE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
KINDS = dict(
    language=dict(r=2, lora_alpha=4, target_modules=LANGUAGE),
    all_linear=dict(r=2, lora_alpha=3, target_modules="all-linear"),
    rslora=dict(r=3, lora_alpha=4, use_rslora=True, target_modules=["q_proj", "v_proj"]),
    expression=dict(r=2, lora_alpha=5, target_modules=r".*language_model.*\.(q|o)_proj"),
    patterns=dict(
        r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "fc1"],
        rank_pattern={r"layers\.0\..*": 1, "v_proj": 3}, use_rslora=True,
        alpha_pattern={"fc1": 6.5, r"layers\.[01]\.self_attn\.q_proj": 1, "self_attn.q_proj": 8}),
    dora=dict(r=2, lora_alpha=4, use_dora=True, target_modules=[
        "q_proj", "o_proj", "down_proj", "fc1", "linear", "patch_embedding"]),
    lora_bias=dict(r=2, lora_alpha=4, lora_bias=True, target_modules=["fc1", "out_proj", "linear"]),
    biases=dict(r=2, lora_alpha=4, bias="all", target_modules=["fc1", "v_proj"]),
    saved_projector=dict(r=2, lora_alpha=4, target_modules=["q_proj"],
                         modules_to_save=["multi_modal_projector"]),
    embedding=dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "q_proj"]),
    embedding_dora=dict(r=2, lora_alpha=4, use_dora=True, target_modules=["embed_tokens"]),
    head=dict(r=2, lora_alpha=4, target_modules=["lm_head", "up_proj"]),
    tokens=dict(r=2, lora_alpha=4, target_modules=["q_proj"],
                trainable_token_indices=[108, 9, 1200, 5]),
    pictures=dict(r=2, lora_alpha=4, target_modules=["patch_embedding", "position_embedding"]),
    parameters=dict(r=2, lora_alpha=4, target_modules=[],
                    target_parameters=["layers.0.self_attn.q_proj.weight"]),
    saved_embedding=dict(r=2, lora_alpha=4, target_modules=["q_proj"],
                         modules_to_save=["embed_tokens"]),
    saved_head=dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head"]))


def randomise(adapted, seed):
    rng = np.random.default_rng(seed)
    for name, weight in sorted(adapted.named_parameters()):
        normal = torch.from_numpy(rng.standard_normal(weight.shape)).to(weight.dtype)
        if "lora_magnitude" in name:
            weight.mul_(1 + 0.2 * normal)
        elif "lora_B" in name or "lora_embedding_B" in name:
            weight.copy_((0.1 if name.endswith("bias") else 0.3) * normal)
        elif "lora_A" in name:
            weight.copy_(normal * np.prod(weight.shape[1:]) ** -0.5)
        elif "lora_embedding_A" in name:
            weight.copy_(normal * weight.shape[0] ** -0.5)
        elif weight.requires_grad or "modules_to_save" in name or "trainable_tokens" in name:
            weight.add_(0.2 * weight.std() * normal)


def make(folder, kind, seed, out):
    """An adapter of the model in `folder`, written as PEFT writes it."""
    adapted = get_peft_model(reference.load(folder), LoraConfig(task_type="CAUSAL_LM", **KINDS[kind]))
    randomise(adapted, seed)
    adapted.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink()
    file = out / "adapter_config.json"  # PEFT writes where the model lies on this machine
    config = json.loads(file.read_text()) | dict(base_model_name_or_path=folder.name)
    file.write_text(json.dumps(config, indent=2, sort_keys=True))


def rename(source, out, renames, **settings):
    """The same adapter under other names."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in load_file(source / "adapter_model.safetensors").items():
        for old, new in renames:
            name = name.replace(old, new)
        tensors[name] = tensor
    save_file(tensors, out / "adapter_model.safetensors", metadata=dict(format="pt"))
    config = json.loads((source / "adapter_config.json").read_text()) | settings
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


# As releases of transformers before 4.52 named modules.
OLD = [("base_model.model.model.language_model.", "base_model.model.language_model.model."),
       ("base_model.model.model.", "base_model.model."),
       ("vision_tower.encoder", "vision_tower.vision_model.encoder")]


def said(model, ids, pixels, steps):
    ids = torch.tensor([ids])
    found = model.generate(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids),
                           token_type_ids=torch.zeros_like(ids), max_new_tokens=steps,
                           do_sample=False, eos_token_id=1, pad_token_id=0)
    return found[0, ids.shape[1]:].tolist()


def said_with(folder, adapter, ids, pixels, steps):
    """Greedy ids in float32 and in float64; where they differ rounding decides."""
    adapted = PeftModel.from_pretrained(reference.load(folder), adapter).eval()
    model = reference.load(folder)
    single = said(adapted, ids, pixels, steps)
    with reference.double_precision():
        twin = get_peft_model(reference.in_double(model), adapted.peft_config["default"]).eval().double()
        twin.load_state_dict(adapted.state_dict())
        return single, said(twin, ids, pixels.double(), steps)
