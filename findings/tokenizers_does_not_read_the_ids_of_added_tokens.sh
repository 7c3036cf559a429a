#!/usr/bin/env bash
# tokenizers 0.23.3. Measured 2026-11. Needs python3 and PyPI; everything is in a temporary folder.
#
# Every entry of tokenizer.json's added_tokens has an id. It is not used: a token that the vocabulary has not gets
# the next free id, in the order of the list, whatever its entry says, be that a gap, the id of another token or one
# past any table. The Rust library logs a warning, which Python does not show. Saved again, the file holds the other
# ids. So ids that were chosen (a row kept free for a token) are lost on the way through a file, silently, and
# transformers, which adds the tokens of an added_tokens.json in the same way, reads {"<car>": 257216} as the first id
# behind the vocabulary, the one that <image> has in PaliGemma.
#
# Output seen, for a vocabulary of two pieces and a token <car>:
#   id 2 in the file: 2 in use
#   id 7 in the file: 2 in use
#   id 0 in the file: 2 in use
#   id 3000000000 in the file: 2 in use
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$dir/venv/bin/python" - <<'PY'
import json
import sys
from tokenizers import Tokenizer

used = []
for stored in (2, 7, 0, 3000000000):
    token = dict(id=stored, content="<car>", single_word=False, lstrip=False, rstrip=False, normalized=False,
                 special=False)
    file = dict(version="1.0", added_tokens=[token],
                model=dict(type="BPE", vocab={"a": 0, "b": 1}, merges=[]))
    tokenizer = Tokenizer.from_str(json.dumps(file))
    used.append(tokenizer.encode("<car>").ids[0])
    assert json.loads(tokenizer.to_str())["added_tokens"][0]["id"] == used[-1]
    print(f"id {stored} in the file: {used[-1]} in use")
sys.exit(used != [2, 2, 2, 2])
PY
