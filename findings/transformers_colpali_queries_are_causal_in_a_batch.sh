#!/usr/bin/env bash
# transformers 5.23.0, torch 2.13.0, torchvision 0.28.0 (Python 3.11). Measured 2026-11.
#
# ColPaliForRetrieval was trained with every token of a query looking at every other. Called without token_type_ids, as
# for queries it mostly is, it decides by accident: with sdpa, the default, a query alone is seen both ways, and the same
# query beside a longer one, so that it is padded, is causal; with eager attention it is causal always. So a query's
# embeddings depend on the batch that it is in, and on attn_implementation.
#
# Output seen:
#   sdpa: alone, the first row sees the last token: True; in a padded batch: False
#   eager: alone, the first row sees the last token: False; in a padded batch: False
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.13.0 \
  torchvision==0.28.0 pillow==13.0.0
"$dir/venv/bin/python" - <<'PY'
import torch
from transformers import ColPaliConfig, ColPaliForRetrieval, PaliGemmaConfig

towers = PaliGemmaConfig(
    vision_config=dict(model_type="siglip_vision_model", hidden_size=16, intermediate_size=16, num_attention_heads=2,
                       num_hidden_layers=1, image_size=14, patch_size=14, projection_dim=16),
    text_config=dict(model_type="gemma", hidden_size=16, intermediate_size=16, num_attention_heads=2,
                     num_key_value_heads=1, head_dim=8, num_hidden_layers=2, vocab_size=64),
    projection_dim=16, image_token_index=63, hidden_size=16)
torch.manual_seed(0)
model = ColPaliForRetrieval(ColPaliConfig(vlm_config=towers, embedding_dim=8)).eval()
with torch.no_grad():
    for weight in model.parameters():
        weight.copy_(torch.randn(weight.shape) * 0.5)


@torch.no_grad()
def first_row(ids, mask, attention):
    """Of the first query; what stands behind it is the same in all calls."""
    model.set_attn_implementation(attention)
    return model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).embeddings[0, 0]


found = []
query, longer = [2, 5, 6, 7], [2, 8, 9, 10, 11, 12]
changed = [2, 5, 6, 9]  # in its last token
for attention in ("sdpa", "eager"):
    alone = first_row([query], [[1] * 4], attention)
    other = first_row([changed], [[1] * 4], attention)
    padded = first_row([query + [0, 0], longer], [[1] * 4 + [0] * 2, [1] * 6], attention)
    padded_other = first_row([changed + [0, 0], longer], [[1] * 4 + [0] * 2, [1] * 6], attention)
    sees, sees_padded = not torch.equal(alone, other), not torch.equal(padded, padded_other)
    print(f"{attention}: alone, the first row sees the last token: {sees}; in a padded batch: {sees_padded}")
    found.append((sees, sees_padded))
assert found == [(True, False), (False, False)]
PY
