"""The tiny PaliGemma, as it is trained.

The parameters bear the names and shapes that Hugging Face's transformers gives them (without the
leading `model.`), so that exporting is copying; tools/tiny/train.py checks that both compute the
same. Three things differ from the model as it is run, none of them in what it computes: several
examples share one picture and with it the vision tower's work; the last block of the language model
computes only the text rows, since nobody reads what it makes of the image; and a dense head, thrown
away in the end, says for every patch which shape lies there (see README.md).
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

IMAGE, PATCH = 112, 14
GRID = IMAGE // PATCH
TOKENS = GRID * GRID  # image tokens
WIDTH, LAYERS, HEADS = 128, 4, 4  # of both towers
HEAD = WIDTH // HEADS
MLP_VISION, MLP_TEXT = 512, 384
VOCABULARY = 1856  # rows of the embedding: the tokenizer's pieces, <image>, padding
EPSILON = 1e-6


def gelu(x):
    """GELU's tanh form; (1 + tanh(z)) / 2 is sigmoid(2 z), which costs a CPU a fifth as much."""
    return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


def patches(pictures):
    """uint8 [n, IMAGE, IMAGE, 3] -> float [n, TOKENS, 3 * PATCH * PATCH] in [-1, 1]."""
    n = len(pictures)
    cut = pictures.view(n, GRID, PATCH, GRID, PATCH, 3).permute(0, 1, 3, 5, 2, 4)
    return cut.reshape(n, TOKENS, -1).float() / 127.5 - 1


# ---- the vision tower

class VisionAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        n = len(x)
        parts = (self.q_proj, self.k_proj, self.v_proj)
        qkv = F.linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        q, k, v = qkv.view(n, TOKENS, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(out.transpose(1, 2).reshape(n, TOKENS, WIDTH))


class VisionMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, MLP_VISION), nn.Linear(MLP_VISION, WIDTH)

    def forward(self, x):
        return self.fc2(gelu(self.fc1(x)))


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.self_attn = VisionAttention()
        self.layer_norm2 = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.mlp = VisionMlp()

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Embeddings(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)
        self.position_embedding = nn.Embedding(TOKENS, WIDTH)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, x):
        conv = self.patch_embedding
        return F.linear(x, conv.weight.flatten(1), conv.bias) + self.position_embedding.weight


class VisionTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(VisionBlock() for _ in range(LAYERS))
        self.post_layernorm = nn.LayerNorm(WIDTH, eps=EPSILON)

    def forward(self, patches):
        x = self.embeddings(patches)
        for block in self.encoder.layers:
            x = block(x)
        return self.post_layernorm(x)


# ---- the language model

class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON) * (1 + self.weight)


def rotations(length, device=None):
    """cos and sin [length, 1, HEAD / 2] of RoPE's angles."""
    frequency = 10000.0 ** (-torch.arange(0, HEAD, 2, device=device) / HEAD)
    angle = torch.arange(length, device=device)[:, None, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """RoPE on [n, rows, heads, HEAD]: the first half of a head is paired with the second."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class TextAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k_proj = nn.Linear(WIDTH, HEAD, bias=False)
        self.v_proj = nn.Linear(WIDTH, HEAD, bias=False)
        self.o_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x, prefix, cos, sin, start):
        """Rows from `start` on ask all rows. Row i sees row j when j <= max(i, prefix - 1)."""
        n, rows, _ = x.shape
        if start:
            q = self.q_proj(x[:, start:])
            k, v = F.linear(x, torch.cat([self.k_proj.weight, self.v_proj.weight])).split(HEAD, -1)
        else:
            weights = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
            q, k, v = F.linear(x, weights).split([WIDTH, HEAD, HEAD], -1)
        asked = rows - start
        q = rotate(q.reshape(n, asked, HEADS, HEAD), cos[start:], sin[start:]) * HEAD ** -0.5
        k = rotate(k.unsqueeze(2), cos, sin).squeeze(2)
        # One k and v for all heads: the heads are rows of one matrix product.
        scores = (q.reshape(n, asked * HEADS, HEAD) @ k.transpose(1, 2)).view(n, asked, HEADS, rows)
        index = torch.arange(rows, device=x.device)
        seen = index <= torch.maximum(index[start:, None], prefix[:, None, None] - 1)
        weights = scores.masked_fill(~seen[:, :, None, :], -1e30).softmax(-1)
        out = weights.view(n, asked * HEADS, rows) @ v
        return self.o_proj(out.view(n, asked, WIDTH))


class TextMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(WIDTH, MLP_TEXT, bias=False)
        self.up_proj = nn.Linear(WIDTH, MLP_TEXT, bias=False)
        self.down_proj = nn.Linear(MLP_TEXT, WIDTH, bias=False)

    def forward(self, x):
        gate, up = F.linear(x, torch.cat([self.gate_proj.weight, self.up_proj.weight])).chunk(2, -1)
        return self.down_proj(gelu(gate) * up)


class TextBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm = RmsNorm()
        self.self_attn = TextAttention()
        self.post_attention_layernorm = RmsNorm()
        self.mlp = TextMlp()

    def forward(self, x, prefix, cos, sin, start):
        attention = self.self_attn(self.input_layernorm(x), prefix, cos, sin, start)
        x = x[:, start:] + attention
        return x + self.mlp(self.post_attention_layernorm(x))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        nn.init.normal_(self.embed_tokens.weight, std=WIDTH ** -0.5)
        self.layers = nn.ModuleList(TextBlock() for _ in range(LAYERS))
        self.norm = RmsNorm()

    def forward(self, image, tokens, prefix):
        """image [n, TOKENS, WIDTH], tokens [n, rows], prefix [n] in rows, image included: the text's rows."""
        x = torch.cat([image, self.embed_tokens(tokens) * WIDTH ** 0.5], 1)
        cos, sin = rotations(x.shape[1], x.device)
        for i, block in enumerate(self.layers):
            x = block(x, prefix, cos, sin, TOKENS if i == LAYERS - 1 else 0)
        return self.norm(x)


# ---- both

SHAPES, COLORS, CHARACTERS = 6, 8, 36
DENSE = (SHAPES + 1, COLORS + 1, 4, CHARACTERS + 1, 4)  # with "none": shape, colour, box, character, its box


class PaliGemma(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision_tower = VisionTower()
        self.multi_modal_projector = nn.Module()
        self.multi_modal_projector.linear = nn.Linear(WIDTH, WIDTH)
        self.language_model = LanguageModel()
        self.dense = nn.Linear(WIDTH, sum(DENSE))  # thrown away in the end

    def see(self, pictures):
        """uint8 pictures -> the image's rows for the language model, and the dense head's answers."""
        rows = self.vision_tower(patches(pictures))
        return self.multi_modal_projector.linear(rows), self.dense(rows).split(DENSE, -1)

    def logits(self, rows):
        return rows @ self.language_model.embed_tokens.weight.T

    @torch.no_grad()
    def place_coordinates(self, first, count=1024):
        """Starts the <loc> rows from sines and cosines of the coordinate, so that neighbours are alike."""
        frequency = 2 ** torch.linspace(0, 6, WIDTH // 4) * math.pi
        angle = torch.linspace(0, 1, count)[:, None] * frequency
        rows = self.language_model.embed_tokens.weight[first:first + count]
        rows[:, :WIDTH // 2] = 0.12 * torch.cat([angle.sin(), angle.cos()], 1)
        rows[:, WIDTH // 2:] *= 0.2

    def exported(self):
        """The state of transformers' PaliGemmaForConditionalGeneration."""
        state = {"model." + k: v.detach().clone() for k, v in self.state_dict().items() if not k.startswith("dense.")}
        return state | {"lm_head.weight": state["model.language_model.embed_tokens.weight"]}
