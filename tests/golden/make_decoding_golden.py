"""Makes decoding.json of both golden checkpoints: what transformers says by other rules than greedy.

    python make_decoding_golden.py

README.md says what to install. Each case is what `generate` is given, and the ids that come of it. Of
the beams the score is stored too; none of the choices hangs on less than a float's rounding, which is
tried by a run in float64.
"""
import json
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tools"))
import transformers_reference as reference
from transformers_reference import make_tokenizer
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList

PROMPTS = ["ocr", "caption en", "segment red ring ; two small blue stars"]
# Of the picture and of the same turned to the left.
TWO_PICTURES = ["caption en", "red<image> ocr<image>en", "<image>caption en<image>"]
RULES = [
    dict(repetition_penalty=1.3), dict(repetition_penalty=0.8), dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2), dict(repetition_penalty=1.3, no_repeat_ngram_size=2),
]
BEAMS = [
    dict(num_beams=2), dict(num_beams=3), dict(num_beams=4),
    dict(num_beams=3, length_penalty=2.0), dict(num_beams=4, length_penalty=-1.0),
    dict(num_beams=4, length_penalty=0.0), dict(num_beams=2, early_stopping=True),
    dict(num_beams=4, early_stopping="never"), dict(num_beams=4, num_return_sequences=3),
    dict(num_beams=3, repetition_penalty=1.3), dict(num_beams=3, no_repeat_ngram_size=2),
    dict(num_beams=3, suppress_tokens=True),
]
STOPS = [
    dict(), dict(num_beams=2), dict(num_beams=4, length_penalty=2.0, num_return_sequences=3),
    dict(num_beams=3, early_stopping=True),
]


class Says(StoppingCriteria):
    """Ends answers whose text holds this. transformers' own criterion wants a tokenizer of its own kind."""

    def __init__(self, pieces, text, prompt):
        self.pieces, self.text, self.prompt = pieces, text, prompt

    def holds(self, answer):
        return self.text in self.pieces.decode(answer)

    def __call__(self, ids, scores, **_):
        return torch.tensor([self.holds(row[self.prompt:]) for row in ids.tolist()])


def said(model, ids, pixels, steps, end, says=None, **how):
    """The ids of each answer, and its score where there are beams."""
    ids = torch.tensor([ids])
    if says:
        how["stopping_criteria"] = StoppingCriteriaList([says])
    found = model.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids),
        token_type_ids=torch.zeros_like(ids), max_new_tokens=steps, do_sample=False,
        eos_token_id=end, pad_token_id=0, return_dict_in_generate=True, output_scores=True, **how)
    scores = getattr(found, "sequences_scores", None)
    answers = []
    for i, row in enumerate(found.sequences[:, ids.shape[1]:].tolist()):
        cut = next((k + 1 for k, id in enumerate(row)
                    if id in end or says and says.holds(row[:k + 1])), len(row))
        answers.append(dict(ids=row[:cut]) | ({} if scores is None else dict(
            score=round(float(scores[i]), 6))))
    return answers


def said_together(model, rows, pixels, steps):
    """The ids of greedy answers to several prompts about one picture, padded on the left as processors do."""
    length = max(map(len, rows))
    ids = torch.tensor([[0] * (length - len(row)) + row for row in rows])
    found = model.generate(
        input_ids=ids, pixel_values=pixels.expand(len(rows), -1, -1, -1), attention_mask=(ids != 0).long(),
        token_type_ids=torch.zeros_like(ids), max_new_tokens=steps, do_sample=False, eos_token_id=[1],
        pad_token_id=0)
    answers = []
    for row in found[:, length:].tolist():
        answers.append(dict(ids=row[:row.index(1) + 1] if 1 in row else row))
    return answers


def cases(greedy):
    """Some of the tokens that greedy takes are suppressed, and some end an answer early."""
    suppressed = [greedy[1], greedy[4]]
    for how in [*RULES, dict(suppress_tokens=True), *BEAMS]:
        how = dict(how)
        if "suppress_tokens" in how:
            how["suppress_tokens"] = suppressed
        ends = [[1]]
        if "num_beams" in how:
            ends.append([1, greedy[3], greedy[6]])
        for end in ends:
            yield how, end


def loaded(folder, resample):
    """The model in float32 and in float64, and its picture as it reads it, as it is and turned to the left."""
    model = reference.load(folder)
    with reference.double_precision():
        double = reference.in_double(model)
    side, picture = model.config.vision_config.image_size, Image.open(folder / "picture.png")
    pixels = [torch.from_numpy(reference.pixels(p, side, resample)).permute(2, 0, 1)
              for p in (picture, picture.rotate(90, expand=True))]
    return model, double, torch.stack(pixels)


def make(folder, resample):
    model, double, both = loaded(folder, resample)
    pieces = make_tokenizer.load((folder / "tokenizer.model").read_bytes())
    found, left_out = [], 0

    def add(asked, ids, pixels, end, how):
        nonlocal left_out
        asked = asked | dict(end_tokens=end, **how)
        if "stop" in how:
            how = dict(how)
            how["says"] = Says(pieces, how.pop("stop"), len(ids))
        steps = 12 if "num_beams" in how else 24
        answers = said(model, ids, pixels, steps, end, **how)
        with reference.double_precision():
            again = said(double, ids, pixels.double(), steps, end, **how)
        if [a["ids"] for a in answers] != [a["ids"] for a in again]:
            left_out += 1
            return
        found.append(asked | dict(steps=steps, answers=answers))

    for prompt in PROMPTS:
        ids = reference.prompt_ids(model.config, pieces, prompt)
        greedy = said(model, ids, both[:1], 12, [1])[0]["ids"]
        for how, end in cases(greedy):
            add(dict(prompt=prompt), ids, both[:1], end, how)
        stop = next(text for id in greedy[3:] if (text := pieces.decode([id]).strip()))
        for how in STOPS:
            add(dict(prompt=prompt), ids, both[:1], [1], how | dict(stop=stop))
    for prompt in TWO_PICTURES:
        ids = reference.prompt_ids(model.config, pieces, prompt, 2)
        for how in [dict(), dict(num_beams=2)]:
            add(dict(prompt=prompt, pictures=2), ids, both, [1], how)
    rows = [reference.prompt_ids(model.config, pieces, prompt) for prompt in PROMPTS]
    together = said_together(model, rows, both[:1], 12)
    with reference.double_precision():
        assert together == said_together(double, rows, both[:1].double(), 12)
    found.append(dict(prompts=PROMPTS, steps=12, answers=together))
    lines = ",\n".join(json.dumps(case) for case in found)
    (folder / "decoding.json").write_text(f"[{lines}]\n")
    print(f"{folder.name}: {len(found)} cases, {left_out} left out, which rounding decides")


if __name__ == "__main__":
    make(HERE / "paligemma1", 3)
    make(HERE / "paligemma2", 2)
