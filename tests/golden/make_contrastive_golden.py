"""Makes contrastive.json: what keras_hub's ContrastiveSampler chooses, by a table in place of a model.

    python make_contrastive_golden.py

Needs keras-hub 0.32.0 and a backend of Keras 3.15.1, torch say. With PaliGemma the sampler raises whatever it is
given: its mask has no places for the picture. In the table what follows a token depends on that token alone, and its
hidden state is that of the token and that of its place added up, so that no two are equal.
"""
import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras_hub
import numpy as np
from keras import ops

TOKENS, WIDTH, PROMPT, STEPS = 9, 4, [3, 1, 4], 12


def chosen(logits, of_tokens, of_places, k, alpha):
    def following(prompt, cache, index):
        place = int(index) - 1
        last = ops.convert_to_numpy(prompt)[:, place]
        hidden = of_tokens[last] + of_places[place]
        return ops.convert_to_tensor(logits[last]), ops.convert_to_tensor(hidden), cache

    length, begun = len(PROMPT) + STEPS, len(PROMPT)
    ids = np.zeros([1, length], "int32")
    ids[0, :begun] = PROMPT
    states = np.zeros([1, length, WIDTH], "float32")
    states[0, :begun] = of_tokens[PROMPT] + of_places[:begun]
    sampler = keras_hub.samplers.ContrastiveSampler(k=k, alpha=alpha)
    said = sampler(following, ops.convert_to_tensor(ids), index=begun,
                   mask=ops.convert_to_tensor(np.arange(length)[None] < begun),
                   hidden_states=ops.convert_to_tensor(states))
    return ops.convert_to_numpy(said)[0, begun:].tolist()


def main():
    random = np.random.default_rng(7)
    table = [random.normal(0, scale, shape).round(2).astype("float32")
             for scale, shape in [(1.5, [TOKENS, TOKENS]), (1, [TOKENS, WIDTH]),
                                  (0.7, [len(PROMPT) + STEPS, WIDTH])]]
    cases = [dict(k=k, alpha=alpha, ids=chosen(*table, k, alpha))
             for k in (2, 5, TOKENS) for alpha in (0.0, 0.3, 0.6, 1.0)]
    names = "logits", "of_tokens", "of_places"
    table = dict(prompt=PROMPT, **{name: t.tolist() for name, t in zip(names, table)}, cases=cases)
    text = json.dumps(json.loads(json.dumps(table), parse_float=lambda x: round(float(x), 2)))
    path = Path(__file__).resolve().parent / "contrastive.json"
    path.write_text(text.replace('"cases": [', '"cases": [\n').replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    main()
