"""Makes keras/: small random presets, written by keras_hub, and what keras_hub says with them.

    python make_keras_golden.py      with keras-hub 0.32.0, keras 3.15.1, torch, tensorflow-cpu, pillow, safetensors

README.md says what is in them. A tolerance is 8 times the largest difference between keras_hub in float32 and in
float64, and at least four units in the last place of the largest value.
"""
import os
import shutil
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import keras
import keras_hub
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
OUT = HERE / "keras"
TOKENIZER = HERE / "paligemma1/tokenizer.model"
PROMPT, ANSWER, WIDTH, STEPS = "caption en", "two boats", 32, 12
GEMMA1 = dict(image_size=28, num_layers=2, num_query_heads=3, num_key_value_heads=1, hidden_dim=10,
              intermediate_dim=28, head_dim=6, vit_patch_size=7, vit_num_layers=2, vit_num_heads=2, vit_hidden_dim=8,
              vit_intermediate_dim=11)
GEMMA2 = dict(GEMMA1, vit_num_layers=1, num_query_heads=4, num_key_value_heads=2, use_post_attention_norm=True, use_post_ffw_norm=True,
              attention_logit_soft_cap=5.0, final_logit_soft_cap=8.0, use_sliding_window_attention=True,
              sliding_window_size=4096)
PRESETS = {  # what is saved, of which sizes, how
    "float32": ("task", GEMMA1, "float32", 1, {}),
    "bfloat16": ("backbone", GEMMA2, "bfloat16", 7, {}),
    "shards": ("backbone", dict(GEMMA1, vit_num_layers=1), "float16", 3, dict(max_shard_size=4e-5)),
}


def on_host(found):
    return np.asarray(found.detach().cpu() if hasattr(found, "detach") else found)


def ints(found):
    return on_host(found).astype("int64")


def language_model(backbone, sequence_length=WIDTH):
    size = backbone.image_size
    converter = keras_hub.layers.PaliGemmaImageConverter(image_size=(size, size), scale=1 / 127.5, offset=-1)
    tokenizer = keras_hub.models.PaliGemmaTokenizer(proto=str(TOKENIZER))
    pre = keras_hub.models.PaliGemmaCausalLMPreprocessor(tokenizer, converter, sequence_length=sequence_length)
    model = keras_hub.models.PaliGemmaCausalLM(pre, backbone)
    model.compile(sampler="greedy")
    return model


def states(backbone, inputs):
    asked = {k: (v if k == "images" else on_host(v).astype("int32")) for k, v in inputs.items()}
    return on_host(backbone.predict(asked, verbose=0))[0]


def with_tolerance(name, single, double):
    error = max(8 * np.abs(single - double).max(), 4 * np.finfo("float32").eps * np.abs(single).max())
    return {name: single.astype("float32"), name + ":tolerance": np.array([error], "float32")}


def lead(backbone, told, generated):
    """By how much each of the tokens was the likeliest, at the least: no rounding decides."""
    tokens, prompt = ints(told["token_ids"]).copy(), int(ints(told["padding_mask"]).sum())
    table, leads = on_host(backbone.token_embedding.embeddings), []
    for i, token in enumerate(generated):
        seen = np.arange(WIDTH)[None] < prompt + i
        inputs = dict(told, token_ids=tokens, padding_mask=seen, response_mask=seen & (np.arange(WIDTH) >= prompt))
        found = states(backbone, inputs)
        logits = found[len(found) - WIDTH + prompt + i - 1] @ table.T
        assert logits.argmax() == token
        leads.append(np.diff(np.sort(logits)[-2:])[0])
        tokens[0, prompt + i] = token
    return min(leads)


def make(name):
    kind, sizes, dtype, seed, how = PRESETS[name]
    folder = OUT / name
    random = np.random.default_rng(seed)
    vocabulary = keras_hub.models.PaliGemmaTokenizer(proto=str(TOKENIZER)).vocabulary_size() + 5
    made = keras_hub.models.PaliGemmaBackbone(vocabulary_size=vocabulary, dtype=dtype, **sizes)
    for weight in made.weights:
        is_embedding = weight.path.startswith("token_embedding")
        weight.assign(random.normal(0, 0.15 if is_embedding else 0.7, weight.shape))
    (language_model(made) if kind == "task" else made).save_to_preset(str(folder), **how)

    picture = random.uniform(0, 255, (31, 45, 3)).astype("uint8")  # not square, and not the model's size
    Image.fromarray(picture).save(OUT / (name + ".png"))
    picture = picture[None].astype("float32")

    # What the folder says, in float32 and in float64.
    backbone, wide = (keras_hub.models.PaliGemmaBackbone.from_preset(str(folder), dtype=d)
                      for d in ("float32", "float64"))
    model = language_model(backbone)
    asked = dict(images=picture, prompts=[PROMPT + "\n"])
    learned = model.preprocessor(asked | dict(responses=[ANSWER]))[0]
    told = model.preprocessor.generate_preprocess(asked)
    wide_converter = keras_hub.layers.PaliGemmaImageConverter(
        image_size=(made.image_size,) * 2, scale=1 / 127.5, offset=-1, dtype="float64")
    expected = with_tolerance("pixels", on_host(learned["images"])[0],
                              on_host(wide_converter(picture.astype("float64")))[0])
    for case, inputs in [("asked", told), ("learned", learned)]:
        for mask in ("token_ids", "padding_mask", "response_mask"):
            expected[f"{case}/{mask}"] = ints(inputs[mask])[0]
        expected |= with_tolerance(f"{case}/states", states(backbone, inputs), states(wide, inputs))
    model.preprocessor = None
    prompt = int(expected["asked/padding_mask"].sum())
    answered = model.generate({k: on_host(v) for k, v in told.items()}, stop_token_ids=None)
    expected["generated_ids"] = ints(answered["token_ids"])[0][prompt:prompt + STEPS]
    assert lead(backbone, told, expected["generated_ids"]) > 1e-3
    print(name, "".join(f"\n  {k} {v}" for k, v in expected.items() if "tolerance" in k or "generated" in k))
    save_file(expected, OUT / (name + ".safetensors"), dict(
        prompt=PROMPT, answer=ANSWER, seed=str(seed), keras=keras.__version__, keras_hub=keras_hub.__version__))


def make_refused():
    """One dataset of each kind that is refused, and the file of a LoRA."""
    numbers = np.arange(12, dtype="float32").reshape(3, 4)
    for name, how in {"int8": dict(data=numbers.astype("int8")), "big_endian": dict(data=numbers.astype(">f4")),
                      "chunked": dict(data=numbers, chunks=(3, 2), compression="gzip")}.items():
        with h5py.File(OUT / "refused" / (name + ".weights.h5"), "w") as file:
            file.create_dataset("layers/rms_normalization/vars/0", **how)
    backbone = keras_hub.models.PaliGemmaBackbone(vocabulary_size=8, dtype="float32", **GEMMA1)
    backbone.enable_lora(2)
    backbone.save_lora_weights(str(OUT / "refused/own.lora.h5"))


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "refused").mkdir(parents=True)
    for each in PRESETS:
        make(each)
    make_refused()
