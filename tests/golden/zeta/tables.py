"""Numbers that belong to no model: slopes, biases, frequencies, buckets, filters of logits."""
import math

import numpy as np
import torch


def top_p(x, p):
    """Keeps words while the mass before them is at most p."""
    s, order = torch.sort(x, descending=True)
    remove = torch.cumsum(s.softmax(-1), -1) > p
    remove = torch.nn.functional.pad(remove, (1, -1), value=False)
    s[remove] = -math.inf
    return s.scatter(1, order, s)


def top_a(x, power, ratio):
    p = x.softmax(-1)
    return torch.where(p < p.amax(-1, keepdim=True) ** power * ratio, -math.inf, x)


def make(lib, logits):
    M, made = lib.module, {}
    for h in range(1, 17):
        made[f"alibi_slopes/{h:02}"] = torch.tensor(M.AlibiPositionalBias._get_slopes(h))
    made["alibi_bias"] = M.AlibiPositionalBias(3, 5)(4, 7)
    r = M.RotaryEmbedding(34, use_xpos=True)
    made["rotary_inv_freq"], made["xpos_scale"] = r.inv_freq, r.scale
    made["rotary_angles"], made["xpos_factors"] = r(9, torch.device("cpu"))
    distance = torch.arange(-200, 201)
    bucket = M.RelativePositionBias._relative_position_bucket
    made["buckets_causal"] = bucket(distance, causal=True)
    made["buckets_both_ways"] = bucket(distance, causal=False)
    made["buckets_causal_6_9"] = bucket(distance, causal=True, num_buckets=6, max_distance=9)
    made["sinusoid"] = M.ScaledSinusoidalEmbedding(10)(torch.zeros(1, 7)).detach()
    made["l2norm_groups"] = M.l2norm(logits[:, :28], groups=4)
    for thres in (0.0, 0.5, 0.7, 0.9, 0.99):
        made[f"top_k/{thres}"] = lib.top_k(logits, thres=thres)
        made[f"top_p_as_zeta/{thres}"] = lib.top_p(logits.clone(), thres=thres)
        made[f"top_p/{thres}"] = top_p(logits.clone(), thres)
    if lib.top_a:
        made["top_a_as_1_19_0"] = lib.top_a(logits.clone())
    made["top_a"] = top_a(logits, 2.0, 0.02)
    made["top_k_kept_of_100"] = torch.tensor(
        [math.ceil((1 - t) * 100) for t in np.arange(0, 1, 0.01).round(2).tolist()])
    layers = [logits.view(1, 1, 3, -1), logits.flip(0).view(1, 1, 3, -1)]
    made["z_loss"] = M.calc_z_loss(layers, weight=1e-4)
    return made
