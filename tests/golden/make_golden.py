"""Makes the goldens beside this file: a tiny PaliGemma 1 and 2, and what transformers says of them.

    python make_golden.py

README.md says what each file is and what to install.
"""
import itertools
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageDraw
from safetensors.numpy import save_file
from transformers import PaliGemmaForConditionalGeneration

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tools"))
import transformers_reference as reference
from transformers_reference import make_tokenizer

STEPS = 32
ROWS = 1856  # of the embedding: 1790 pieces, <image>, and padding to a multiple of 64

# Sizes are unlike each other, so that a transposed or mistaken one shows; 32 / 6 leaves a rest that
# the convolution ignores; the number of prompt ids is odd.
PALIGEMMA_1 = dict(
    vision=dict(image_size=32, patch_size=6, hidden_size=36, num_attention_heads=3,
                intermediate_size=52, num_hidden_layers=2),
    text=dict(model_type="gemma", hidden_size=40, num_attention_heads=4, num_key_value_heads=1,
              head_dim=12, intermediate_size=56, num_hidden_layers=3, vocab_size=ROWS),
    prompt="answer en What colour is the ring?", resample=3, dtype=torch.float32)

# The window is shorter than the prompt, the attention cap near the scores; weights are kept in
# bfloat16, as in the published files.
PALIGEMMA_2 = dict(
    vision=dict(image_size=28, patch_size=7, hidden_size=32, num_attention_heads=4,
                intermediate_size=44, num_hidden_layers=2),
    text=dict(model_type="gemma2", hidden_size=48, num_attention_heads=6, num_key_value_heads=2,
              head_dim=10, intermediate_size=60, num_hidden_layers=4, vocab_size=ROWS,
              query_pre_attn_scalar=14, sliding_window=11, attn_logit_softcapping=10.0,
              final_logit_softcapping=30.0),
    prompt="detect small blue star ; red  circle", resample=2, dtype=torch.bfloat16)


def picture(width, height, tilt):
    """Gradients and shapes with hard edges."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * x // (width - 1), 255 * y // (height - 1), (tilt * x + 5 * y) % 256]
    drawn = Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8), "RGB")
    pen = ImageDraw.Draw(drawn)
    pen.ellipse([width * 0.5, height * 0.1, width * 0.9, height * 0.6], fill=(220, 30, 40))
    pen.rectangle([width * 0.1, height * 0.5, width * 0.4, height * 0.8], fill=(20, 60, 230),
                  outline=(255, 255, 255))
    pen.line([0, height - 1, width - 1, height * 0.3], fill=(0, 0, 0))
    return drawn


def tolerance(single, double):
    """How far another float32 implementation may lie from the tensor stored here.

    Running transformers itself in float32 and in float64 shows what rounding does on the way from
    the picture to this tap. That is one sample: another order of summation brings another, so 8
    times the largest difference is granted, and at least four units in the last place of the
    largest value.
    """
    rounding = 8 * np.abs(single - double).max()
    floor = 4 * np.finfo(np.float32).eps * np.abs(double).max()
    return np.array([max(rounding, floor)], np.float32)


def shows_faults(said, logits, image_token):
    """The text is varied, does not end, is all pieces, and no token of it hangs on a rounding."""
    return (len(said) == STEPS and len(set(said)) >= 20 and 1 not in said
            and max(said) < image_token and reference.gaps(logits).min() > 0.005)


def make(folder, image, vision, text, prompt, resample, dtype):
    tokenizer = make_tokenizer.train(make_tokenizer.corpus())
    pieces = make_tokenizer.load(tokenizer)
    config = reference.config(vision, text, image_token=pieces.vocab_size())
    ids = reference.prompt_ids(config, pieces, prompt)
    folder.mkdir(exist_ok=True)
    image.save(folder / "picture.png")

    prepared = reference.pixels(image, vision["image_size"], resample)
    for seed in itertools.count():
        model = PaliGemmaForConditionalGeneration(config).eval()
        reference.randomise(model, seed)
        reference.round_weights(model, dtype)
        taps, said = reference.run(model, prepared, ids, STEPS)
        if shows_faults(said, taps["logits"], pieces.vocab_size()):
            break
    reference.write_checkpoint(model, folder, tokenizer, resample, dtype)

    (single, said), (double, again) = reference.run_both(folder, image, resample, ids, STEPS)
    assert said == again and shows_faults(said, single["logits"], pieces.vocab_size())
    tensors = dict(prompt_ids=np.array(ids, np.int64), generated_ids=np.array(said, np.int64))
    for name, tap in single.items():
        tensors[name] = np.ascontiguousarray(tap, np.float32)
        tensors[name + ":tolerance"] = tolerance(tap, double[name])
    save_file(tensors, folder / "golden.safetensors")
    reference.write_metadata(folder / "golden.safetensors", dict(
        prompt=prompt, seed=str(seed), transformers=transformers.__version__,
        torch=torch.__version__, pillow=PIL.__version__))

    gap = reference.gaps(single["logits"]).min()
    assert gap > 2 * tensors["logits:tolerance"], "the logits' tolerance would allow another token"
    print(f"{folder.name}: seed {seed}, {len(ids)} prompt ids, {len(set(said))} different tokens "
          f"of {STEPS}, smallest gap {gap:.4f}")
    for name, tap in single.items():
        print(f"  {name:28}{str(tap.shape):14}max {np.abs(tap).max():9.4f}  tolerance "
              f"{tensors[name + ':tolerance'][0] / np.abs(tap).max():.1e} of it")


if __name__ == "__main__":
    make(HERE / "paligemma1", picture(45, 37, 3), **PALIGEMMA_1)
    make(HERE / "paligemma2", picture(31, 50, 7), **PALIGEMMA_2)
