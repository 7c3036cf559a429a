"""PaliGemma as Hugging Face's transformers computes it, on small random checkpoints.

Three things that the goldens, the tiny model and the comparison share: weights that make a
wrong step show, the inputs a model is given, and the taps of a run (docs/taps.md has the table).
Attention is eager throughout, since other backends drop PaliGemma 2's soft caps; and there is one
thread, so that sums are added in the same order every time.
"""
import contextlib
import copy
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here is fetched

import numpy as np
import torch
from PIL import Image
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration
from transformers.utils import logging

sys.path.append(str(Path(__file__).parent / "tokenizer"))
import make_tokenizer

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)
torch.set_grad_enabled(False)


# ---- checkpoints

def config(vision, text, image_token):
    """The towers' settings are given, what joins them follows. `<image>` is the first id unused."""
    return PaliGemmaConfig(
        vision_config=dict(model_type="siglip_vision_model", vision_use_head=False) | vision,
        text_config=dict(eos_token_id=1, bos_token_id=2, pad_token_id=0) | text,
        image_token_index=image_token, projection_dim=text["hidden_size"],
        hidden_size=text["hidden_size"], vocab_size=text["vocab_size"],
        attn_implementation="eager")


def randomise(model, seed, sharpness=4.0, writing=2.5, muted=()):
    """Weights under which a wrong step changes the text.

    As transformers initialises them, attention is uniform, logits are flat, and the greedy text is
    one token repeated: a fault would not show. Here a matrix is N(0, gain / sqrt(fan in)); q_proj's
    gain (`sharpness`) makes attention peak, and that of the matrices that write to the residual
    stream (`writing`) outweighs what is there. Norms lie off their neutral value, PaliGemma 2's
    post norms and the final norm (3 and 9 above it) most of all. Embeddings past the tokenizer's,
    and those of `muted`, are a tenth as long as the others, so that none of them is ever said.
    """
    writers = ("o_proj", "out_proj", "down_proj", "fc2")
    rng = np.random.default_rng(seed)
    for name, weight in sorted(model.named_parameters()):
        normal = rng.standard_normal(weight.shape)  # numpy's bits do not depend on the machine
        owner, kind = name.split(".")[-2:]
        if owner in ("embed_tokens", "lm_head"):
            value = normal * weight.shape[1] ** -0.5
            value[model.config.image_token_index:] *= 0.1
            value[list(muted)] *= 0.1
        elif "norm" in owner and kind == "weight":
            is_rms = "language_model" in name
            post = model.config.text_config.model_type == "gemma2" and owner in (
                "post_attention_layernorm", "post_feedforward_layernorm")
            value = 0.3 * normal + (0.0 if is_rms else 1.0) + (3.0 if is_rms and post else 0.0)
            if name.endswith("language_model.norm.weight"):
                value += 9.0
        elif weight.dim() == 1 or owner == "position_embedding":
            value = 0.3 * normal
        else:
            gain = sharpness if owner == "q_proj" else writing if owner in writers else 1.4
            value = normal * gain * np.prod(weight.shape[1:]) ** -0.5
        weight.copy_(torch.from_numpy(value))


def round_weights(model, dtype):
    """What is left of the weights after a file of `dtype`, still in float32."""
    for weight in model.parameters():
        weight.copy_(weight.to(dtype).to(weight.dtype))


def preprocessor_config(image_size, tokens, resample):
    """preprocessor_config.json as the published checkpoints have it."""
    return dict(
        do_convert_rgb=None, do_normalize=True, do_rescale=True, do_resize=True,
        image_mean=[0.5] * 3, image_processor_type="SiglipImageProcessor", image_seq_length=tokens,
        image_std=[0.5] * 3, processor_class="PaliGemmaProcessor", resample=resample,
        rescale_factor=0.00392156862745098, size=dict(height=image_size, width=image_size))


def write_checkpoint(model, folder, tokenizer, resample, dtype=torch.float32, **save):
    """A folder as the hub has them: config, weights, tokenizer and how pictures are prepared."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(dtype).save_pretrained(folder, **save)
    (folder / "tokenizer.model").write_bytes(tokenizer)
    vision = model.config.vision_config
    write_json(folder / "preprocessor_config.json",
               preprocessor_config(vision.image_size, image_tokens(model.config), resample))


def write_metadata(path, metadata):
    """Puts `__metadata__` into a safetensors file, sorted: the library orders it by chance."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start]) | dict(__metadata__=dict(sorted(metadata.items())))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    path.unlink()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[start:])


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def load(folder):
    """The model of a folder, in float32 whatever its file holds."""
    model, report = PaliGemmaForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(report.values()), report  # nothing missing, so nothing random
    return model.eval()


@contextlib.contextmanager
def double_precision():
    """float64 also where transformers asks for float32 by name: softmax, norms, RoPE's angles."""
    saved = torch.float, torch.float32, torch.Tensor.float
    torch.float = torch.float32 = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float, torch.float32, torch.Tensor.float = saved
        torch.set_default_dtype(torch.float32)


def in_double(model):
    """The same model, to be made and run inside double_precision(): buffers are computed anew."""
    settings = copy.deepcopy(model.config)
    for part in (settings, settings.text_config, settings.vision_config):
        part.dtype = None
    twin = type(model)(settings).eval()
    twin.load_state_dict(model.state_dict())
    twin.generation_config = model.generation_config
    floats = [t for t in [*twin.parameters(), *twin.buffers()] if t.is_floating_point()]
    assert all(t.dtype == torch.float64 for t in floats)
    return twin


# ---- inputs

def image_tokens(config):
    return (config.vision_config.image_size // config.vision_config.patch_size) ** 2


def pixels(picture, size, resample, dtype=np.float32):
    """[size, size, 3] in [-1, 1], step by step as SiglipImageProcessorPil: resized as bytes."""
    resized = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling(resample)))
    return ((resized * 0.00392156862745098).astype(dtype) - dtype(0.5)) / dtype(0.5)


def prompt_ids(config, pieces, prompt, pictures=1):
    """<image>..., <bos>, the prompt, and a newline that never joins one of the prompt's own.

    Pictures stand in front, or where the prompt says <image>; <bos> stands behind the last one."""
    image = [config.image_token_index] * image_tokens(config)
    *before, words = prompt.split("<image>") if "<image>" in prompt else [""] * pictures + [prompt]
    ids = [id for part in before for id in pieces.encode(part) + image]
    return ids + [config.text_config.bos_token_id] + pieces.encode(words) + pieces.encode("\n")


# ---- a run

class Taps(dict):
    """The first tensor that passes each named place of a model: the prefill's, without batch."""

    def __init__(self, model):
        vision, language = model.model.vision_tower, model.model.language_model
        patches = vision.embeddings.patch_embedding
        self.after(patches, "img/stem", lambda grid: grid.flatten(2).transpose(1, 2))
        self.after(vision.embeddings, "img/with_posemb")
        for i, block in enumerate(vision.encoder.layers):
            at = f"img/encoder/block{i:02d}/"
            self.after(block.self_attn, at + "sa")
            self.before(block.layer_norm2, at + "+sa")
            self.after(block.mlp, at + "mlp")
            self.after(block, at + "+mlp")
        self.after(vision.post_layernorm, "img/encoded")
        self.after(model.model.multi_modal_projector, "img/head")
        self.before(language.layers[0], "llm/embedded")
        for i, block in enumerate(language.layers):
            at = f"llm/block{i:02d}/"
            if hasattr(block, "pre_feedforward_layernorm"):  # PaliGemma 2
                self.after(block.post_attention_layernorm, at + "attn")
                self.before(block.pre_feedforward_layernorm, at + "+attn")
                self.after(block.post_feedforward_layernorm, at + "mlp")
            else:
                self.after(block.self_attn, at + "attn")
                self.before(block.post_attention_layernorm, at + "+attn")
                self.after(block.mlp, at + "mlp")
            self.after(block, at + "+mlp")
        self.after(language.norm, "llm/final_norm")

    def after(self, module, name, view=lambda value: value):
        def hook(_, __, out):
            self.keep(name, view(out[0] if isinstance(out, tuple) else out))
        module.register_forward_hook(hook)

    def before(self, module, name):
        module.register_forward_pre_hook(lambda _, arguments: self.keep(name, arguments[0]))

    def keep(self, name, value):
        if name not in self:
            self[name] = value[0].numpy().copy()


def run(model, pixels, ids, steps):
    """(taps, greedy ids): the prefill's taps, and one row of logits, caps included, for each id."""
    taps = Taps(model)
    taps["img/pixels"] = pixels
    prompt = torch.tensor([ids])
    out = model.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt),
        token_type_ids=torch.zeros_like(prompt),  # all prefix; without them eager is causal
        pixel_values=torch.from_numpy(pixels).permute(2, 0, 1)[None],
        do_sample=False, max_new_tokens=steps, output_logits=True, return_dict_in_generate=True)
    taps["logits"] = torch.cat(out.logits).numpy()
    return taps, out.sequences[0, len(ids):].tolist()


def run_both(folder, picture, resample, ids, steps):
    """What run() returns, in float32 and in float64, each all the way from the picture."""
    model = load(folder)
    size = model.config.vision_config.image_size
    single = run(model, pixels(picture, size, resample), ids, steps)
    with double_precision():
        double = run(in_double(model), pixels(picture, size, resample, np.float64), ids, steps)
    return single, double


def gaps(logits):
    """By how much the first token leads the second, step by step."""
    top = np.sort(logits, axis=1)
    return top[:, -1] - top[:, -2]
