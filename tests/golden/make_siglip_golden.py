"""Makes tests/golden/siglip: a tiny SigLIP with both towers, and what transformers makes of a picture.

    python make_siglip_golden.py

golden.safetensors holds img/pixels, img/encoded (last_hidden_state) and img/pooled (pooler_output, what
the pooling head says), each with its tolerance as make_golden.py has it. README.md says what to install.
"""
import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.numpy import save_file
from transformers import SiglipConfig, SiglipModel

from make_golden import HERE, reference, tolerance

SEED = 0
VISION = dict(image_size=27, patch_size=5, hidden_size=30, num_attention_heads=5,
              intermediate_size=44, num_hidden_layers=2)
TEXT = dict(hidden_size=30, num_attention_heads=3, intermediate_size=20, num_hidden_layers=1,
            vocab_size=50, max_position_embeddings=8, bos_token_id=2, eos_token_id=1, pad_token_id=1)


def randomise(tower):
    """Off what is neutral, and so that queries and the probe prefer some patches."""
    rng = np.random.default_rng(SEED)
    for name, weight in sorted(tower.named_parameters()):
        value = rng.standard_normal(weight.shape)
        if weight.dim() == 1 or "position" in name:
            value = 0.3 * value + ("norm" in name and name.endswith("weight"))
        elif "probe" not in name:
            value *= (4 if "q_proj" in name else 1.4) * np.prod(weight.shape[1:]) ** -0.5
        weight.copy_(torch.from_numpy(value))


def run(model, pixels):
    seen = model.get_image_features(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    return {"img/pixels": pixels, "img/encoded": seen.last_hidden_state[0].numpy(),
            "img/pooled": seen.pooler_output.numpy()}


def main():
    folder = HERE / "siglip"
    torch.manual_seed(SEED)  # of the text tower, which nobody asks
    model = SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION,
                                     attn_implementation="eager")).eval()
    randomise(model.vision_model)
    model.save_pretrained(folder)
    reference.write_json(folder / "preprocessor_config.json", reference.preprocessor_config(
        VISION["image_size"], 25, 3) | dict(processor_class="SiglipProcessor"))

    picture = Image.open(HERE / "paligemma1" / "picture.png")
    size = VISION["image_size"]
    single = run(model, reference.pixels(picture, size, 3))
    with reference.double_precision():
        double = run(model.double(), reference.pixels(picture, size, 3, np.float64))
    tensors = {}
    for name, tap in single.items():
        tensors[name] = np.ascontiguousarray(tap, np.float32)
        tensors[name + ":tolerance"] = tolerance(tap, double[name])
        print(f"{name:14}{str(tap.shape):14}max {np.abs(tap).max():9.4f}  tolerance "
              f"{tensors[name + ':tolerance'][0] / np.abs(tap).max():.1e} of it")
    save_file(tensors, folder / "golden.safetensors")
    reference.write_metadata(folder / "golden.safetensors", dict(
        seed=str(SEED), transformers=transformers.__version__, torch=torch.__version__))


if __name__ == "__main__":
    main()
