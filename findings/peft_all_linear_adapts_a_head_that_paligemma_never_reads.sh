#!/usr/bin/env bash
# peft 0.21.2, torch 2.13.0, transformers 5.23.0 (Python 3.11). Measured 2026-11.
#
# A SigLIP tower may have a pooling head (vision_use_head), and PaliGemma takes the tower's rows as they are before it.
# target_modules="all-linear" leaves out the language model's head alone, so it puts adapters on the pooling head, too;
# so does the short name "fc2", which ends the name of one of its layers. They are saved with the others, get no gradient
# and never leave their first values: of rank 2, 6 tensors here.
#
# Output seen:
#   adapters of the pooling head: attention.out_proj mlp.fc1 mlp.fc2
#   of those, with a gradient: 0; of all others: 28
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 torch==2.13.0 transformers==5.23.0
"$dir/venv/bin/python" - <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

config = PaliGemmaConfig(
    vision_config=dict(model_type="siglip_vision_model", vision_use_head=True, hidden_size=16, intermediate_size=24,
                       num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4, projection_dim=12),
    text_config=dict(model_type="gemma", hidden_size=12, intermediate_size=20, num_hidden_layers=1, head_dim=6,
                     num_attention_heads=2, num_key_value_heads=1, vocab_size=40),
    image_token_index=39, projection_dim=12, hidden_size=12)
torch.manual_seed(0)
model = get_peft_model(PaliGemmaForConditionalGeneration(config), LoraConfig(r=2, target_modules="all-linear"))
ids = torch.tensor([[39] * 4 + [2, 5, 6, 7]])
model(input_ids=ids, pixel_values=torch.randn(1, 3, 8, 8), token_type_ids=torch.tensor([[0] * 6 + [1] * 2]),
      labels=torch.tensor([[-100] * 6 + [6, 7]])).loss.backward()
weights = {name: weight for name, weight in model.named_parameters() if "lora_" in name}
of_head = {name for name in weights if ".vision_tower.head." in name}
moved = {name for name, weight in weights.items() if weight.grad is not None}
layers = sorted({name.split(".head.")[1].split(".lora_")[0] for name in of_head})
print("adapters of the pooling head:", *layers)
print(f"of those, with a gradient: {len(of_head & moved)}; of all others: {len(moved - of_head)}")
assert layers == ["attention.out_proj", "mlp.fc1", "mlp.fc2"]
assert not of_head & moved and moved | of_head == set(weights)
PY
