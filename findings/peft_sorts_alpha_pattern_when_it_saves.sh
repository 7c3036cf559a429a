#!/usr/bin/env bash
# peft 0.21.2, torch 2.13.0, transformers 5.23.0 (Python 3.11). Measured 2026-11.
#
# Where two keys of LoraConfig.alpha_pattern (or rank_pattern) match a module, the first one counts. A dict is in the
# order in which it was written; save_pretrained writes adapter_config.json with its keys sorted. So an adapter may
# scale a layer otherwise once it has been saved and loaded. Nothing is raised or warned; of rank_pattern the same
# ends with a mismatch of sizes.
#
# Output seen:
#   saved with scale 0.5, loaded with scale 2.0
#   largest difference of the output: 1.5 of 0.5
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 torch==2.13.0 transformers==5.23.0
"$dir/venv/bin/python" - "$dir/adapter" <<'PY'
import sys
import torch
from peft import LoraConfig, PeftModel, get_peft_model


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(4, 4, bias=False)
        torch.nn.init.zeros_(self.q_proj.weight)

    def forward(self, x):
        return self.q_proj(x)


def model():
    return torch.nn.Sequential(Block(), Block())


config = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj"], alpha_pattern={"q_proj": 2, "1.q_proj": 8})
adapted = get_peft_model(model(), config)
for name, weight in adapted.named_parameters():
    if "lora" in name:
        torch.nn.init.eye_(weight)
adapted.save_pretrained(sys.argv[1])
again = PeftModel.from_pretrained(model(), sys.argv[1])

x = torch.ones(1, 4)
layer = lambda peft: peft.base_model.model[1].q_proj
before, after = (layer(peft).scaling["default"] for peft in (adapted, again))
here, there = (layer(peft)(x).detach() for peft in (adapted, again))
print(f"saved with scale {before}, loaded with scale {after}")
print(f"largest difference of the output: {(here - there).abs().max():g} of {here.abs().max():g}")
assert (before, after) == (0.5, 2.0)
PY
