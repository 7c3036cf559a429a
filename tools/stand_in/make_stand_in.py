"""Makes models/tiny: the default model until a trained one takes its place.

    python make_stand_in.py [FOLDER]

The layout and the steps are those of a real checkpoint (224 pixels, 256 image tokens), the weights
are random: it says words that have nothing to do with the picture. `"trained": "false"` in the
header of its safetensors file tells. Needs what tests/golden/README.md installs.
"""
import sys
from pathlib import Path

import torch
from transformers import PaliGemmaForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
import transformers_reference as reference
from transformers_reference import make_tokenizer

VISION = dict(image_size=224, patch_size=14, hidden_size=64, num_attention_heads=4,
              intermediate_size=128, num_hidden_layers=2)
TEXT = dict(model_type="gemma", hidden_size=64, num_attention_heads=4, num_key_value_heads=1,
            head_dim=16, intermediate_size=128, num_hidden_layers=2, vocab_size=1856)
SEED = 5


def make(folder):
    corpus = make_tokenizer.corpus()
    tokenizer = make_tokenizer.train(corpus)
    pieces = make_tokenizer.load(tokenizer)
    words = {"▁" + word for word in " ".join(corpus).split() if word.isalpha() and len(word) > 1}
    muted = [i for i in range(pieces.vocab_size()) if pieces.id_to_piece(i) not in words]
    model = PaliGemmaForConditionalGeneration(
        reference.config(VISION, TEXT, image_token=pieces.vocab_size()))
    # With 256 image tokens and only two blocks, it takes this much for the text not to stand still.
    reference.randomise(model, SEED, sharpness=10.0, writing=6.0, muted=muted)
    reference.write_checkpoint(model, folder, tokenizer, resample=3, dtype=torch.bfloat16)
    reference.write_metadata(folder / "model.safetensors", dict(format="pt", trained="false"))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "models" / "tiny")
