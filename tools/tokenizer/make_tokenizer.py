"""Makes a small SentencePiece BPE model in the id order of PaliGemma's own.

    python make_tokenizer.py OUT.model [--trained 638]

Specials, <mask>, runs of newlines and spaces, 256 bytes and the trained pieces come first, then
<loc0000>..<loc1023> and <seg000>..<seg127>. `<image>` is not in the file, as in the genuine one:
its id is the number of pieces.

The corpus is a made-up shape world (captions, questions, answers, detection prompts), seeded, so
that the file is the same every time.
"""
import argparse
import io
import random
import string
import struct
from pathlib import Path

import sentencepiece

COLOURS = "red orange yellow green cyan blue purple pink brown black grey white".split()
SHAPES = "circle square triangle diamond star ring cross heart".split()
SIZES = "small large".split()
RELATIONS = ["above", "below", "left of", "right of", "next to", "inside", "behind", "in front of"]
NUMBERS = "no one two three four five six seven eight nine ten".split()
LANGUAGES = "en de es fr it nl pl pt".split()
USER_DEFINED = ["<mask>", "\n", "\n\n", "▁▁"]
COORDINATES = [f"<loc{i:04d}>" for i in range(1024)] + [f"<seg{i:03d}>" for i in range(128)]


def plural(noun):
    return noun + ("es" if noun.endswith("s") else "s")


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def sentence(rng):
    """One line that a prompt or an answer about a picture of shapes may hold."""
    thing = lambda: f"{rng.choice(COLOURS)} {rng.choice(SHAPES)}"
    sized = lambda: article(f"{rng.choice(SIZES)} {thing()}")
    shape, colour, number = rng.choice(SHAPES), rng.choice(COLOURS), rng.randrange(1, 11)
    counted = f"{NUMBERS[number]} {colour} {shape if number == 1 else plural(shape)}"
    return rng.choice([
        lambda: f"caption {rng.choice(LANGUAGES)}",
        lambda: sized(),
        lambda: f"{sized()} and {sized()}",
        lambda: f"{sized()} {rng.choice(RELATIONS)} {sized()}.",
        lambda: f"The picture shows {counted} on a {rng.choice(COLOURS)} background.",
        lambda: f"There are {counted}, {sized()}, and {sized()}.",
        lambda: f"answer {rng.choice(LANGUAGES)} What colour is the {shape}?",
        lambda: f"answer en what color is the {shape} {rng.choice(RELATIONS)} the {thing()}?",
        lambda: f"answer en what shape is the {colour} shape?",
        lambda: f"answer en How many {plural(shape)} are there?",
        lambda: f"answer en is there {article(thing())}? {rng.choice(['yes', 'no'])}",
        lambda: f"question en {rng.choice(['yes', 'no', str(number), colour, shape])}",
        lambda: f"describe this image: the {shape} is {colour}, it is not {rng.choice(COLOURS)}",
        lambda: f"detect {thing()} ; {thing()}",
        lambda: f"segment {thing()}",
        lambda: "ocr " + rng.choice(COLOURS + SHAPES).upper(),
        lambda: f"{rng.randrange(1000)} + {rng.randrange(100)} = {rng.randrange(1100)}",
    ])()


def corpus(lines=4000, seed=0):
    """The sentences, and every printable ASCII character, so that none of them needs bytes."""
    rng = random.Random(seed)
    characters = list(string.digits + string.ascii_letters + string.punctuation)
    return [sentence(rng) for _ in range(lines)] + characters * 20


def user_defined(piece):
    """A record of ModelProto: field 1 of {piece = 1, score = 2, type = 3}, USER_DEFINED being 4."""
    name = piece.encode()
    body = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", 0.0) + b"\x18\x04"
    return b"\x0a" + bytes([len(body)]) + body


def train(sentences, trained=638):
    """The bytes of a tokenizer.model with `trained` + 1152 pieces.

    The trainer puts user-defined symbols first, but loc and seg must come last: they are appended
    to the finished model, since the entries of a repeated field may lie anywhere in a message.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, model_type="bpe", vocab_size=trained,
        character_coverage=1.0, byte_fallback=True, split_digits=True,
        normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>",
        bos_piece="<bos>", unk_piece="<unk>", user_defined_symbols=USER_DEFINED, num_threads=1,
        minloglevel=2)
    return model.getvalue() + b"".join(map(user_defined, COORDINATES))


def load(data):
    return sentencepiece.SentencePieceProcessor(model_proto=data)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trained", type=int, default=638, help="pieces before <loc0000>")
    arguments = parser.parse_args()
    data = train(corpus(), arguments.trained)
    arguments.out.write_bytes(data)
    pieces = load(data)
    first = pieces.piece_to_id("<loc0000>")
    print(f"{len(data)} bytes, {pieces.vocab_size()} pieces, <loc0000> is {first}")
    print(pieces.encode("detect red circle  ; <loc0012><seg003>\n\n\né", out_type=str))
