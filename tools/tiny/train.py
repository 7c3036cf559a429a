"""Trains the tiny PaliGemma: its mask codes, its eye, then eye and tongue together.

    python train.py masks --out DIR     the VQ-VAE of the mask tokens
    python train.py vision --out DIR    stage 0: the vision tower alone, on dense targets
    python train.py joint --out DIR     stage 1: everything, on prompts and answers
    python train.py polish --out DIR    a little more of the questions that are learnt last
    python train.py export --out DIR    writes models/tiny and checks it against transformers
    python train.py mask-encoder --out DIR    gives models/tiny/vae-oid.npz another encoder

A stage that was interrupted goes on from its last checkpoint in DIR; a stage begins with what the
stages before it left there. README.md says what each does and why, and how long it takes.
"""
import argparse
import copy
import ctypes
import math
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import scenes
import vqvae
from model import LAYERS, HEADS, HEAD, IMAGE, MLP_TEXT, MLP_VISION, PATCH, TOKENS, VOCABULARY, WIDTH, PaliGemma
from scenes import CANVAS, EOS, ahead, batches, collate, examples_of, pictures_of

ROOT = Path(__file__).resolve().parents[2]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
JOINT_FIRST, POLISH_FIRST = 1 << 24, 1 << 25  # every stage sees other scenes
SAVE_EVERY, EVALUATE_EVERY = 150, 480  # seconds; neither changes what is learnt
LOG_EVERY = 50  # steps
TEXTS = 0.4  # share of scenes with a text in stage 1: reading is what takes longest to learn
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


# ---- optimizers

class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    As torch.optim.Muon, but in float32, since bfloat16 is slow where no unit computes it.
    """

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:  # a tower that has no part in this stage
                    continue
                if not self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
                momentum = self.state[p]["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalised(p.grad.lerp(momentum, group["momentum"]))
                rate = group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(rate * update)


def orthogonalised(x, steps=5):
    """Newton and Schulz's iteration, quintic: singular values to about 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    transposed = x.shape[0] < x.shape[1]
    x = (x.mT if transposed else x) / (x.norm() + 1e-7)
    for _ in range(steps):  # x is tall: the small Gram matrix is on the right
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    return x.mT if transposed else x


def optimizers(model, muon, adam):
    """Muon for the matrices of the blocks, AdamW for embeddings, norms, biases and heads."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        (matrices if p.ndim == 2 and "layers." in name and "norm" not in name else others).append(p)
    found = [Muon(matrices, muon), torch.optim.AdamW(others, adam, betas=(0.9, 0.95), weight_decay=0.01, fused=True)]
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return found


def take_step(model, found, factor):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in found:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        optimizer.step()
        optimizer.zero_grad()


# ---- a stage

class Stage:
    """Counts steps, writes the log, keeps the checkpoint and an average of the weights."""

    def __init__(self, name, folder, steps, model, found, decay=0.999):
        self.name, self.path, self.steps, self.model, self.optimizers = name, folder / f"{name}.pt", steps, model, found
        self.log_path, self.decay, self.step = folder / "log.txt", decay, 0
        self.average = copy.deepcopy(model).eval()
        self.sums, self.saved, self.evaluated = defaultdict(float), time.time(), time.time()
        if self.path.exists():
            state = torch.load(self.path, map_location=DEVICE)
            self.step = state["step"]
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimizer, saved in zip(found, state["optimizers"]):
                optimizer.load_state_dict(saved)
            torch.set_rng_state(state["random"].cpu())
        self.logged = time.time()

    @property
    def progress(self):
        return self.step / self.steps

    def log(self, line):
        line = f"{self.name} {self.step:5d}  {line}"
        print(line, flush=True)
        with self.log_path.open("a") as file:
            file.write(line + "\n")

    def end_step(self, examples, losses):
        with torch.no_grad():
            decay = min(self.decay, (self.step + 1) / (self.step + 10))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
            for average, buffer in zip(self.average.buffers(), self.model.buffers()):
                average.copy_(buffer)
        self.step += 1
        for name, value in losses.items():
            self.sums[name] += float(torch.as_tensor(value).detach()) / LOG_EVERY
        if self.step % LOG_EVERY == 0:
            pace = LOG_EVERY * examples / (time.time() - self.logged)
            self.logged = time.time()
            losses = "  ".join(f"{name} {value:.4f}" for name, value in self.sums.items())
            self.log(f"examples {self.step * examples}  {losses}  {pace:.0f}/s")
            self.sums.clear()
        if time.time() - self.saved > SAVE_EVERY or self.step == self.steps:
            self.save()

    def time_to_evaluate(self):
        due = time.time() - self.evaluated > EVALUATE_EVERY or self.step == self.steps
        self.evaluated = time.time() if due else self.evaluated
        return due

    def save(self):
        state = dict(step=self.step, model=self.model.state_dict(), average=self.average.state_dict(),
                     optimizers=[o.state_dict() for o in self.optimizers], random=torch.get_rng_state())
        temporary = self.path.with_suffix(".new")
        torch.save(state, temporary)
        os.replace(temporary, self.path)
        self.saved = time.time()


def averaged(folder, name, model):
    model.load_state_dict(torch.load(folder / f"{name}.pt", map_location=DEVICE)["average"])
    return model.eval()


# ---- the mask codes

def train_masks(options):
    torch.manual_seed(1)
    model = vqvae.VqVae()
    found = [torch.optim.AdamW(model.parameters(), 3e-3, betas=(0.9, 0.99), weight_decay=0.0)]
    found[0].param_groups[0]["peak"] = 3e-3
    stage = Stage("masks", options.out, options.steps or 1000, model, found, decay=0.0)
    pool, held = mask_sets()
    while stage.step < stage.steps:
        masks = vqvae.as_target(pool[torch.randint(len(pool), (64,))])
        quantise = stage.step >= PLAIN_STEPS
        if stage.step == PLAIN_STEPS:
            model.begin(masks)
        loss, codes = model.loss(masks, quantise)
        loss.backward()
        take_step(model, found, min(1, (stage.step + 1) / 100) * max(0.02, 1 - stage.progress))
        stage.end_step(len(masks), dict(loss=loss, codes=len(codes.unique())))
        if stage.step % 500 == 0 or stage.step == stage.steps:
            evaluate_masks(stage, model.eval(), held)
            model.train()


def mask_sets():
    """To train with, and to look at."""
    return (torch.from_numpy(np.concatenate([scene.masks for scene in scenes.scenes(split, 0, count)]))
            for split, count in (("train", 5000), ("val", 300)))


def evaluate_masks(stage, model, held):
    codes = model.codes(held)
    iou = vqvae.overlap(model.masks(codes), held > 127)
    stage.log(f"val: mean IoU {iou.mean():.4f}  least {iou.min():.3f}  codes in use {len(codes.unique())}")


PLAIN_STEPS = 200  # without the codes, so that these begin where something is


def train_mask_encoder(options):
    """For a file with a codebook and a decoder: an encoder that fits. The two stay as they are."""
    torch.manual_seed(5)
    path = options.model / "vae-oid.npz"
    model = vqvae.load(path)  # in eval(), so that the codebook follows nobody
    model.begin_encoder()
    model.decoder.requires_grad_(False)
    found = [torch.optim.AdamW(model.encoder.parameters(), 3e-3, betas=(0.9, 0.99), weight_decay=0.0)]
    found[0].param_groups[0]["peak"] = 3e-3
    stage = Stage("mask-encoder", options.out, options.steps or 2000, model, found, decay=0.99)
    pool, held = mask_sets()
    while stage.step < stage.steps:
        masks = vqvae.as_target(pool[torch.randint(len(pool), (64,))])
        loss = model.soft_loss(masks, WARMEST * (COLDEST / WARMEST) ** stage.progress)
        loss.backward()
        take_step(model, found, min(1, (stage.step + 1) / 100) * max(0.02, 1 - stage.progress))
        stage.end_step(len(masks), dict(loss=loss))
        if stage.step % 500 == 0 or stage.step == stage.steps:
            evaluate_masks(stage, stage.average, held)
    vqvae.export(stage.average, path)


WARMEST, COLDEST = 300, 1  # temperatures; squared distances between codes are 1,300 in the mean, 22 between nearest


# ---- stage 0

CHARACTER_WEIGHT = 4  # few patches have one, and there are 36 of them


def dense_loss(answers, dense):
    """Shape and colour of what lies under each patch, where its box is; the same for characters."""
    shape, color, box, character, character_box = answers
    there, written = dense.shape < shape.shape[-1] - 1, dense.character < character.shape[-1] - 1
    loss = F.cross_entropy(shape.flatten(0, 1), dense.shape.flatten())
    loss = loss + F.cross_entropy(color.flatten(0, 1), dense.color.flatten())
    rare = torch.ones(character.shape[-1], device=character.device)
    rare[:-1] = CHARACTER_WEIGHT
    loss = loss + F.cross_entropy(character.flatten(0, 1), dense.character.flatten(), rare)
    for found, true, where in ((box, dense.box, there), (character_box, dense.character_box, written)):
        if where.any():
            loss = loss + F.l1_loss(found[where], true[where])
    return loss


@torch.no_grad()
def evaluate_dense(model, options, count=256):
    """Over the patches that something lies under: how often its class is right."""
    held = list(scenes.scenes("val", 0, count, photos=options.photos))
    dense = scenes.dense_targets(held)
    _, (shape, color, box, character, character_box) = model.see(pictures_of(held).to(DEVICE))
    there, written = dense.shape < shape.shape[-1] - 1, dense.character < character.shape[-1] - 1
    right = lambda found, true, where: (found.cpu().argmax(-1) == true)[where].float().mean().item()
    off = (box.cpu() - dense.box)[there].abs().mean().item() * scenes.BOX_UNIT
    return (f"val: shape {right(shape, dense.shape, there):.3f}  color {right(color, dense.color, there):.3f}  "
            f"box off by {off:.2f} pixels  character {right(character, dense.character, written):.3f}  "
            f"nothing {right(shape, dense.shape, ~there):.3f}")


def train_vision(options):
    torch.manual_seed(2)
    model = PaliGemma().to(DEVICE)
    found = optimizers(model, muon=0.02, adam=2e-3)
    pictures = options.pictures or 64
    stage = Stage("vision", options.out, options.steps or 1600, model, found, decay=0.99)
    source = scenes.scenes("train", stage.step * pictures, examples=1, photos=options.photos)
    for batch in ahead(batches(source, pictures, 0)):
        if stage.step >= stage.steps:
            break
        loss = dense_loss(model.see(batch.pictures.to(DEVICE))[1], on_device(batch.dense))
        loss.backward()
        cosine = 0.02 + 0.49 * (1 + math.cos(math.pi * stage.progress))
        take_step(model, found, min(1, (stage.step + 1) / 200) * cosine)
        stage.end_step(pictures, dict(loss=loss))
        if stage.step % 200 == 0 or stage.step == stage.steps:
            stage.log(evaluate_dense(stage.average, options))


def on_device(dense):
    return scenes.Dense(**{name: value.to(DEVICE) for name, value in vars(dense).items()})


# ---- stage 1

def token_losses(logits, targets, tokenizer, width):
    """Cross-entropy of each row; for a <loc>, against a Gaussian of `width` bins around the true one."""
    total = logits.logsumexp(-1)
    chosen = logits.gather(1, targets[:, None])[:, 0]
    loc = (targets >= tokenizer.loc) & (targets < tokenizer.seg)
    bins = torch.arange(tokenizer.seg - tokenizer.loc, device=logits.device)
    near = torch.softmax(-0.5 * ((bins - (targets[loc] - tokenizer.loc)[:, None]) / width) ** 2, -1)
    spread = (near * logits[loc, tokenizer.loc:tokenizer.seg]).sum(-1)
    entropy = -(near * (near + 1e-12).log()).sum(-1)
    return (total - chosen).masked_scatter(loc, total[loc] - spread - entropy), loc


def train_joint(options):
    torch.manual_seed(3)
    model = averaged(options.out, "vision", PaliGemma().to(DEVICE)).train()
    model.place_coordinates(scenes.Tokenizer().loc)
    stage = Stage("joint", options.out, options.steps or 2800, model, optimizers(model, muon=0.005, adam=2e-3))
    train_answers(options, stage, JOINT_FIRST, flat=0.4, settled=lambda: 1.5 * stage.progress)


def train_polish(options):
    torch.manual_seed(4)
    model = averaged(options.out, "joint", PaliGemma().to(DEVICE)).train()
    stage = Stage("polish", options.out, options.steps or 500, model, optimizers(model, muon=0.0015, adam=6e-4))
    train_answers(options, stage, POLISH_FIRST, flat=0.0, settled=lambda: 1.0, hard=True)


def train_answers(options, stage, first, flat, settled, hard=False):
    """The rate is constant for a share `flat` of the steps, then falls. Narrow targets once `settled`() is 1."""
    tokenizer, model = scenes.Tokenizer(), stage.model
    mask_model = averaged(options.out, "masks", vqvae.VqVae())
    pictures, group = options.pictures or 32, options.group
    language = torch.compile(model.language_model, dynamic=False) if options.compile else model.language_model
    source = scenes.scenes("train", first + stage.step * pictures, photos=options.photos, texts=TEXTS, hard=hard)
    codes_of = lambda masks: mask_model.codes(masks).tolist()
    step = 8 if options.compile else 1
    for batch in ahead(batches(source, pictures, group, tokenizer, codes_of, step)):
        if stage.step >= stage.steps:
            break
        width = max(3.0, 20 * (1 - settled()))
        auxiliary = 0.3 * max(0.1, 1 - settled())
        image, answers = model.see(batch.pictures.to(DEVICE))
        seen = image.detach().requires_grad_()
        all_weight = sum(g.weight.sum() for g in batch.groups).item()
        sums, counts = defaultdict(float), defaultdict(int)
        for g in batch.groups:
            rows = language(seen[g.picture.to(DEVICE)], g.tokens.to(DEVICE), g.prefix.to(DEVICE))
            targets = g.tokens[:, 1:][g.answer[:, :-1]].to(DEVICE)
            losses, loc = token_losses(model.logits(rows[g.answer.to(DEVICE)]), targets, tokenizer, width)
            ((losses * g.weight[g.answer].to(DEVICE)).sum() / all_weight).backward()
            seg = targets >= tokenizer.seg
            for name, where in (("text", ~loc & ~seg), ("loc", loc), ("seg", seg)):
                sums[name] += losses.detach()[where].sum()
                counts[name] += int(where.sum())
        loss = dense_loss(answers, on_device(batch.dense))
        torch.autograd.backward([auxiliary * loss, image], [None, seen.grad])
        take_step(model, stage.optimizers, min(1, (stage.step + 1) / 100, (1 - stage.progress) / (1 - flat) * 0.98 + 0.02))
        stage.end_step(sum(len(g.info) for g in batch.groups),
                       {name: sums[name] / max(1, counts[name]) for name in ("text", "loc", "seg")} | dict(dense=loss))
        if stage.time_to_evaluate():
            stage.log(evaluate(stage.average, mask_model, tokenizer, options))


# ---- what it says

@torch.no_grad()
def greedy(model, image, prefixes, steps):
    """`steps` tokens for each prompt; image [n, TOKENS, WIDTH]."""
    said, tokens = [], torch.zeros(len(prefixes), max(map(len, prefixes)) + steps, dtype=torch.long)
    for i, prefix in enumerate(prefixes):
        tokens[i, :len(prefix)] = torch.tensor(prefix)
    lengths, every = torch.tensor([len(p) for p in prefixes]), torch.arange(len(prefixes))
    for step in range(steps):
        rows = model.language_model(image, tokens.to(DEVICE), (TOKENS + lengths).to(DEVICE)).cpu()
        said.append(model.logits(rows[every, lengths + step - 1].to(DEVICE)).argmax(-1).cpu())
        tokens[every, lengths + step] = said[-1]
    return torch.stack(said, 1)


def box_overlap(a, b):
    height, width = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    both = max(0.0, height) * max(0.0, width)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return both / max(1e-6, sum(areas) - both) if min(a[2] - a[0], a[3] - a[1]) > 0 else 0.0


def on_canvas(mask, box):
    """A bool mask [64, 64] in its box, on a canvas of CANVAS x CANVAS."""
    y, x = (np.arange(CANVAS) + 0.5 for _ in range(2))
    rows, columns = (np.floor((v - box[i]) / max(1e-6, box[i + 2] - box[i]) * 64) for i, v in ((0, y), (1, x)))
    inside = ((rows >= 0) & (rows < 64))[:, None] & ((columns >= 0) & (columns < 64))
    return inside & mask[np.clip(rows, 0, 63).astype(int)][:, np.clip(columns, 0, 63).astype(int)]


@torch.no_grad()
def evaluate(model, mask_model, tokenizer, options, count=192):
    """Exact answers by family, and what boxes and masks are worth, on new scenes.

    An answer is said exactly when every token is the likeliest after the right ones before it, so
    one pass tells; boxes and masks are said greedily.
    """
    held = list(scenes.scenes("val", 0, count, photos=options.photos))
    items = examples_of(held, tokenizer, lambda masks: mask_model.codes(masks).tolist())
    image = model.see(pictures_of(held).to(DEVICE))[0]
    items.sort(key=lambda item: len(item[3]) + len(item[4]))
    exact, boxes, masks = defaultdict(list), [], []
    for i in range(0, len(items), 64):
        g = collate(items[i:i + 64], tokenizer)
        rows = model.language_model(image[g.picture.to(DEVICE)], g.tokens.to(DEVICE), g.prefix.to(DEVICE))
        wrong = torch.zeros(g.answer.shape, dtype=torch.bool)
        wrong[:, :-1] = model.logits(rows).argmax(-1).cpu()[:, :-1] != g.tokens[:, 1:]
        for (_, example), right in zip(g.info, (~(wrong & g.answer).any(1)).tolist()):
            if "<loc" not in example["answer"]:
                absent = example["task"] == "detect"
                exact["absent" if absent else example.get("family") or example["task"]].append(right)
    for task, steps in (("detect", 4), ("segment", 20)):
        chosen = [item for item in items if item[2]["task"] == task and "<loc" in item[2]["answer"]][:64]
        if not chosen:
            continue
        said = greedy(model, image[[item[0] for item in chosen]], [item[3] for item in chosen], steps)
        box = ((said[:, :4] - tokenizer.loc).clamp(0, 1023) * (CANVAS / 1023)).tolist()
        codes = (said[:, 4:] - tokenizer.seg).clamp(0, 127)
        for i, (_, scene, example, _, suffix) in enumerate(chosen):
            true = [(token - tokenizer.loc) * (CANVAS / 1023) for token in suffix[:4]]
            boxes.append(box_overlap(box[i], true))
            if task == "segment":
                k = int(example["answer"].split("{")[1][0])
                truth = on_canvas(scene.masks[k] > 127, scene.truth["objects"][k]["box"])
                mask = on_canvas(mask_model.masks(codes[i:i + 1])[0].numpy(), box[i])
                masks.append((truth & mask).sum() / max(1, (truth | mask).sum()))
    mean = lambda values: sum(values) / max(1, len(values))
    families = "  ".join(f"{name} {mean(values):.2f} ({len(values)})" for name, values in sorted(exact.items()))
    return (f"val: {families}  boxes {mean(boxes):.3f} @.5 {mean([v >= 0.5 for v in boxes]):.2f} ({len(boxes)})  "
            f"masks {mean(masks):.3f} ({len(masks)})")


# ---- the exported model

def export(options):
    sys.path.append(str(ROOT / "tools"))
    import transformers_reference as reference
    from transformers import PaliGemmaForConditionalGeneration

    tokenizer = scenes.Tokenizer()
    model = averaged(options.out, "polish", PaliGemma()).cpu()
    sizes = dict(hidden_size=WIDTH, num_attention_heads=HEADS, num_hidden_layers=LAYERS)
    vision = dict(image_size=IMAGE, patch_size=PATCH, intermediate_size=MLP_VISION) | sizes
    text = dict(model_type="gemma", num_key_value_heads=1, head_dim=HEAD, intermediate_size=MLP_TEXT,
                vocab_size=VOCABULARY) | sizes
    target = PaliGemmaForConditionalGeneration(reference.config(vision, text, image_token=tokenizer.image))
    target.load_state_dict(model.exported())
    reference.write_checkpoint(target, options.model, tokenizer.data, resample=3, dtype=torch.bfloat16)
    reference.write_metadata(options.model / "model.safetensors", dict(format="pt", trained="true"))
    mask_model = averaged(options.out, "masks", vqvae.VqVae())
    vqvae.export(mask_model, options.model / "vae-oid.npz")

    # Both must compute the same from the weights as they were rounded.
    target = reference.load(options.model)
    reference.round_weights(model, torch.bfloat16)
    worst = 0.0
    for scene in scenes.scenes("val", 0, 16):
        ids = torch.tensor([[tokenizer.image] * TOKENS + tokenizer.prefix(scene.truth["examples"][0]["prompt"])])
        picture = pictures_of([scene])
        pixels = (picture.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        theirs = target(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids),
                        token_type_ids=torch.zeros_like(ids)).logits[0, TOKENS:]
        rows = model.language_model(model.see(picture)[0], ids[:, TOKENS:], torch.tensor([ids.shape[1]]))
        worst = max(worst, (model.logits(rows)[0] - theirs).abs().max().item())
    print(f"{options.model}: logits differ by at most {worst:.2g} from transformers'")
    assert worst < 1e-3, "the exported model is not the trained one"
    model.to(DEVICE)
    print("rounded to bfloat16,", evaluate(model, mask_model, tokenizer, options, count=400))


if __name__ == "__main__":
    stages = {"masks": train_masks, "mask-encoder": train_mask_encoder, "vision": train_vision, "joint": train_joint,
              "polish": train_polish, "export": export}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=stages)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and log.txt")
    parser.add_argument("--steps", type=int, help="of this stage")
    parser.add_argument("--pictures", type=int, help="a step")
    parser.add_argument("--group", type=int, default=32, help="examples that go through the language model at once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true",
                        help="stage 1: with torch.compile; two threads gain a quarter, one gains nothing")
    parser.add_argument("--photos", help="a folder of PNG pictures without shapes (scenes.py --photos makes one)")
    parser.add_argument("--generator", type=Path, default=scenes.GENERATOR, help="the program scene_examples")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny", help="where export writes")
    options = parser.parse_args()
    scenes.GENERATOR = options.generator
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    if sys.platform == "linux":  # keep freed memory: giving it back costs a tenth of the time
        for what, size in ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1)):
            ctypes.CDLL(None).mallopt(what, size)
    stages[options.stage](options)
