"""Makes tests/golden/colpali: tiny random ColPalis as others store them, and what these make of pages and queries.

    python make_colpali_golden.py

README.md says what each folder is and what to install; colpali-engine without its dependencies, of which one file
is read.
"""
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import ColPaliConfig, ColPaliForRetrieval, ColPaliProcessor, PaliGemmaConfig

from make_golden import HERE, ROWS, make_tokenizer, picture, reference

IMAGE_TOKEN = 1790
QUERIES = ["what is the revenue in 2024", "table", " How many drawers are on page 9? "]
# What an adapter of colpali-engine changes.
TARGETS = (r"(.*(language_model).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$"
           r"|.*(custom_text_proj).*$)")

# No two sizes are alike. `form` is the one of colpali/prompt.h.
CASES = {
    "hf": dict(
        form="question", width=16, layers=2, heads=4, kv_heads=1, head_dim=10, hidden=28, mlp=44,
        vision=dict(hidden_size=24, intermediate_size=36, num_attention_heads=3,
                    num_hidden_layers=2, image_size=42)),
    "hf_old": dict(
        form="question", width=12, layers=3, heads=6, kv_heads=2, head_dim=6, hidden=20, mlp=36,
        vision=dict(hidden_size=30, intermediate_size=28, num_attention_heads=2,
                    num_hidden_layers=1, image_size=56)),
    "adapter": dict(
        form="query", width=16, layers=2, heads=4, kv_heads=1, head_dim=10, hidden=28, mlp=44,
        rank=4, alpha=4,
        vision=dict(hidden_size=24, intermediate_size=36, num_attention_heads=3,
                    num_hidden_layers=2, image_size=42)),
    "merged": dict(
        form="plain", width=12, layers=3, heads=6, kv_heads=2, head_dim=6, hidden=20, mlp=36,
        rank=2, alpha=6,
        vision=dict(hidden_size=30, intermediate_size=28, num_attention_heads=2,
                    num_hidden_layers=1, image_size=56)),
}
FORMS = {"question": (1, "Question: ", True), "query": (2, "Query: ", True), "plain": (2, "", False)}


def towers(case):
    return PaliGemmaConfig(
        vision_config=dict(model_type="siglip_vision_model", patch_size=14, layer_norm_eps=1e-6,
                           hidden_act="gelu_pytorch_tanh", vision_use_head=False,
                           projection_dim=case["hidden"], **case["vision"]),
        text_config=dict(model_type="gemma", hidden_size=case["hidden"],
                         intermediate_size=case["mlp"], num_attention_heads=case["heads"],
                         num_key_value_heads=case["kv_heads"], head_dim=case["head_dim"],
                         num_hidden_layers=case["layers"], vocab_size=ROWS,
                         hidden_activation="gelu_pytorch_tanh"),
        projection_dim=case["hidden"], image_token_index=IMAGE_TOKEN, hidden_size=case["hidden"])


def randomise(model, seed):
    """Attention is far from uniform, norms and biases from what is neutral; all is exact in bfloat16."""
    rng = np.random.default_rng(seed)
    for name, weight in sorted(model.named_parameters()):
        value = rng.standard_normal(weight.shape)
        if "norm" in name and name.endswith("weight"):
            value = 0.3 * value + ("vision" in name)
        elif weight.dim() == 1 or "position" in name:
            value *= 0.2
        elif "lora_B" in name:
            value *= 0.4
        else:
            value *= (1.6 if "q_proj" in name or "k_proj" in name else 1.1) * np.prod(weight.shape[1:]) ** -0.5
        with torch.no_grad():
            weight.copy_(torch.from_numpy(value).bfloat16())
    return model.eval()


def engine_class():
    """ColPali of colpali-engine, from its file alone."""
    package = Path(importlib.util.find_spec("colpali_engine").origin).parent
    folder = package / "models" / "paligemma" / "colpali"
    spec = importlib.util.spec_from_file_location("modeling_colpali", folder / "modeling_colpali.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ColPali


def save(folder, tensors, config, rename, dtype=torch.bfloat16):
    """Under the names of some generation; the head is the embedding."""
    folder.mkdir(exist_ok=True)
    kept = {}
    for name, tensor in tensors.items():
        if "lm_head." in name:
            continue
        for old, new in rename:
            if name.startswith(old):
                name = new + name[len(old):]
                break
        kept[name] = tensor.detach().to(dtype).contiguous().clone()
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    reference.write_json(folder / "config.json", config)


def make_hf(name, case, folder):
    model = randomise(ColPaliForRetrieval(ColPaliConfig(vlm_config=towers(case),
                                                        embedding_dim=case["width"])), len(name))
    model.set_attn_implementation("eager")
    config = json.loads(model.config.to_json_string()) | dict(architectures=["ColPaliForRetrieval"])
    rename = [] if name == "hf" else [("vlm.vision_tower.", "vlm.vision_tower.vision_model."),
                                      ("vlm.language_model.", "vlm.language_model.model.")]
    save(folder, model.state_dict(), config, rename)
    return model.vlm, lambda ids, pixels: model(
        input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels,
        token_type_ids=torch.zeros_like(ids)).embeddings


def make_engine(name, case, folder):
    base = engine_class()(towers(case))
    base.dim = case["width"]
    base.custom_text_proj = torch.nn.Linear(case["hidden"], case["width"])
    randomise(base, len(name)).model.set_attn_implementation("eager")
    config = json.loads(towers(case).to_json_string()) | dict(architectures=["ColPali"])
    before = [("model.model.language_model.", "model.language_model.model."),
              ("model.model.vision_tower.", "model.vision_tower.vision_model."),
              ("model.model.multi_modal_projector.", "model.multi_modal_projector.")]
    is_merged = name == "merged"
    plain = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    model = get_peft_model(base, LoraConfig(r=case["rank"], lora_alpha=case["alpha"],
                                            bias="none", task_type="FEATURE_EXTRACTION",
                                            target_modules=TARGETS))
    rng = np.random.default_rng(7)
    for part, weight in sorted(model.named_parameters()):
        if "lora_" in part:
            value = 0.4 * rng.standard_normal(weight.shape)
            value *= weight.shape[-1] ** -0.5 if "lora_A" in part else 1
            with torch.no_grad():
                weight.copy_(torch.from_numpy(value))
    model.eval()
    if is_merged:
        model = model.merge_and_unload()
        # Names as newer releases save them, in float32: the sums are not exact in bfloat16.
        save(folder, model.state_dict(), config, [], torch.float32)
    else:
        save(folder / "base", plain, config, before)
        model.save_pretrained(folder / "adapter")
        (folder / "adapter" / "README.md").unlink(missing_ok=True)
        file = folder / "adapter" / "adapter_model.safetensors"
        save_file({part.replace("base_model.model.model.model.language_model.",
                                "base_model.model.model.language_model.model."): tensor
                   for part, tensor in load_file(file).items()}, file)
        settings = folder / "adapter" / "adapter_config.json"
        reference.write_json(settings, json.loads(settings.read_text()) |
                             dict(base_model_name_or_path="base", target_modules=TARGETS))
    return base.model.model, lambda ids, pixels: model(
        input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=torch.zeros_like(ids),
        **({} if pixels is None else dict(pixel_values=pixels)))


@torch.no_grad()
def make(name, case):
    folder = HERE / "colpali" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pieces = make_tokenizer.load((HERE / "paligemma1" / "tokenizer.model").read_bytes())
    size = case["vision"]["image_size"]
    patches = (size // 14) ** 2
    reference.write_json(folder / "preprocessor_config.json", reference.preprocessor_config(
        size, patches, 3) | dict(processor_class="ColPaliProcessor"))
    inner, embed = (make_hf if name.startswith("hf") else make_engine)(name, case, folder)

    bos, prefix, newline = FORMS[case["form"]]
    page_ids = [IMAGE_TOKEN] * patches + [2] * bos + pieces.encode("Describe the image.") + pieces.encode("\n")
    query_ids = [[2] + pieces.encode(prefix + query) + [0] * 10 + (pieces.encode("\n") if newline else [])
                 for query in QUERIES]
    taps, pages, queries, seen = {}, [], [], {}

    def hear(module, tap):
        module.register_forward_hook(lambda _, __, out: seen.update(
            {tap: (out[0] if isinstance(out, tuple) else out).reshape(-1, case["hidden"])}))

    hear(inner.multi_modal_projector, "img/head")
    hear(inner.language_model.norm, "llm/final_norm")
    for i, block in enumerate(inner.language_model.layers):
        hear(block, f"llm/block{i:02}/+mlp")
    for i, shape in enumerate([(80, 60), (36, 50)]):
        page = picture(*shape, 3 + i)
        page.save(folder / f"page{i}.png")
        pixels = reference.pixels(page, size, 3)
        rows = embed(torch.tensor([page_ids]), torch.from_numpy(pixels).permute(2, 0, 1)[None])[0]
        taps |= {f"page{i}/{tap}": value.numpy() for tap, value in seen.items()}
        taps |= {f"page{i}/pixels": pixels, f"page{i}/embeddings": rows.numpy()}
        pages.append(rows)
    for i, ids in enumerate(query_ids):
        queries.append(embed(torch.tensor([ids]), None)[0])
        taps[f"query{i}/embeddings"] = queries[i].numpy()
    taps["scores"] = ColPaliProcessor.score_retrieval(None, queries, pages).numpy()
    # The second page of three rows is padded to the first one's with zeros, below which no maximum falls.
    taps["scores_of_unequal_pages"] = ColPaliProcessor.score_retrieval(
        None, queries, [pages[0], pages[1][:3]]).numpy()
    side = int(patches ** 0.5)
    taps["map"] = (queries[0] @ pages[0][:patches].T).reshape(-1, side, side).numpy()
    np.savez_compressed(folder / "taps.npz", **{tap: np.float32(value) for tap, value in taps.items()})
    reference.write_json(folder / "case.json", dict(
        form=case["form"], layers=case["layers"], rows=ROWS, image_token=IMAGE_TOKEN,
        queries=QUERIES, page_ids=page_ids, query_ids=query_ids))
    print(name, "scores", taps["scores"].round(2).tolist())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, case in CASES.items():
        make(name, case)
