"""Makes optimizers.json: what torch's optimizers and transformers' schedules make of a few steps.

    python make_optimizer_golden.py      with jax 0.10.2 and optax 0.2.8 besides what README.md says

big_vision's Adafactor is a chain of optax's parts. Gradients and weights are multiples of 1/64, so that JSON has them exactly.
"""
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import torch
import transformers

HERE = Path(__file__).resolve().parent
RATE, DECAY, STEPS = 0.05, 0.1, 4
RULES = dict(
    adamw=lambda w: torch.optim.AdamW([w], lr=RATE, betas=(0.9, 0.95), eps=1e-6, weight_decay=DECAY),
    sgd=lambda w: torch.optim.SGD([w], lr=RATE, momentum=0.9, weight_decay=DECAY),
    muon=lambda w: torch.optim.Muon([w], lr=RATE, momentum=0.95, weight_decay=DECAY))


def sixty_fourths(shape):
    return torch.randint(-64, 65, shape).float() / 64


def steps_of(make, shape):
    weight = torch.nn.Parameter(sixty_fourths(shape))
    case = dict(shape=list(shape), before=weight.flatten().tolist(), gradients=[], weights=[])
    optimizer = make(weight)
    for _ in range(STEPS):
        weight.grad = sixty_fourths(shape)
        case["gradients"].append(weight.grad.flatten().tolist())
        optimizer.step()
        case["weights"].append(weight.detach().flatten().tolist())
    return case


def schedule(name, warmup, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    found = transformers.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps)
    return dict(name=name, warmup=warmup, steps=steps, factors=[found.lr_lambdas[0](k) for k in range(steps)])


def adafactor(shape):
    """As big_vision's scale_by_adafactor has it, but with momentum in float32, where it has bfloat16."""
    count = shape[0] * shape[1]
    numbers = lambda k: (jnp.arange(count) * 37 % 129 - 64 + 11 * k) / 64
    rule = optax.chain(
        optax.scale_by_factored_rms(
            min_dim_size_to_factor=32, epsilon=1e-30,
            decay_rate_fn=lambda i, exponent: jnp.minimum(0.999, 1.0 - (i + 1.0) ** -exponent)),
        optax.ema(0.9, debias=False),
        optax.add_decayed_weights(DECAY))
    weight = numbers(0).reshape(shape)
    state = rule.init(weight)
    for k in range(STEPS):
        update, state = rule.update(numbers(k + 1).reshape(shape), state, weight)
        weight = weight - RATE * update
    return dict(shape=list(shape), weights=[round(float(x), 8) for x in weight.flatten()])


torch.manual_seed(3)
cases = {name: [steps_of(make, shape) for shape in ((3, 5), (6, 2), (4, 4))] for name, make in RULES.items()}
cases["adafactor"] = [adafactor(shape) for shape in ((33, 32), (5, 3), (1, 40))]
cases["schedules"] = [schedule(*how) for how in (
    ("constant_with_warmup", 3, 10), ("linear", 0, 7), ("linear", 3, 10), ("cosine", 0, 7), ("cosine", 4, 11))]
(HERE / "optimizers.json").write_text(json.dumps(
    dict(rate=RATE, decay=DECAY, torch=torch.__version__, optax=optax.__version__, transformers=transformers.__version__) | cases) + "\n")
