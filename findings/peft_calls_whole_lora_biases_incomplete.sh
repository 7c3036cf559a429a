#!/usr/bin/env bash
# peft 0.21.2, torch 2.13.0, transformers 5.23.0 (Python 3.11). Measured 2026-11.
#
# LoraConfig(lora_bias=True) gives each lora_B a bias, which is a vector. When such an adapter is saved, PEFT warns that
# tensors have an invalid shape and are incomplete, since its check of shards that were not gathered takes every
# one-dimensional tensor under lora_A or lora_B for one. The file is whole: loaded again it gives the same output.
#
# Output seen:
#   warned of: 1 LoRA tensor(s) have invalid shape: base_model.model.linear.lora_B.bias:(3,)
#   largest difference after loading: 0
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 torch==2.13.0 transformers==5.23.0
"$dir/venv/bin/python" - "$dir/adapter" <<'PY'
import re
import sys
import warnings
import torch
from peft import LoraConfig, PeftModel, get_peft_model


def model():
    torch.manual_seed(1)
    net = torch.nn.Module()
    net.linear = torch.nn.Linear(2, 3)
    net.forward = lambda x: net.linear(x)
    return net


adapted = get_peft_model(model(), LoraConfig(r=1, lora_alpha=2, target_modules=["linear"], lora_bias=True))
for name, weight in adapted.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(weight)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    adapted.save_pretrained(sys.argv[1])
said = [found[0] for one in caught if (found := re.search(r"\d+ LoRA tensor\(s\) have invalid shape: \S+\)", str(one.message)))]
again = PeftModel.from_pretrained(model(), sys.argv[1])
x = torch.randn(5, 2)
difference = (adapted.base_model.model.linear(x) - again.base_model.model.linear(x)).abs().max()
print("warned of:", *said)
print(f"largest difference after loading: {difference:g}")
assert said == ["1 LoRA tensor(s) have invalid shape: base_model.model.linear.lora_B.bias:(3,)"] and difference == 0
PY
