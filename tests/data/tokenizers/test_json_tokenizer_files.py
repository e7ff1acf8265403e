"""What a tokenizer.json may hold that it should not, and which tokens of a good one are special."""

import json
import sys
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from json_kinds import TEXTS  # noqa: E402

from tinytx.data import BERT_SPECIAL, DataError, JsonTokenizer, SubwordTokenizer, WordPieceTokenizer  # noqa: E402
from tinytx.data.tokenizers import tokenizer_json  # noqa: E402
from tinytx.extras import MissingExtra  # noqa: E402


def added(i, content, special=True):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": content, "special": special} | flags


WORDS = {"type": "WordLevel", "vocab": {"<unk>": 0, "</s>": 1, "the": 2}, "unk_token": "<unk>"}
PAIRS = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3}, "merges": [["a", "b"], ["ab", "b"]], "unk_token": None}
PIECES = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["</s>", 0.0], ["a", -1.0], ["</", -2.0]]}
GOOD = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(0, "<unk>"), added(1, "</s>")],
    "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
    "model": WORDS,
}  # fmt: skip


def read(**changes):
    roles = changes.pop("roles", {})
    return JsonTokenizer.from_json(json.dumps(GOOD | changes), **roles)


# ---------------------------------------------------------------------------------------- names of special tokens


def test_a_word_of_the_vocabulary_that_is_a_special_token():
    assert read().encode("the </s> the").tolist() == [2, 0, 2]
    assert read().encode("the </s> the", allow=["</s>"]).tolist() == [2, 1, 2]


def test_a_piece_that_is_a_special_token():
    """Of Unigram's pieces the name of a special token often has the best score."""
    tokenizer = read(model=PIECES, added_tokens=[])
    assert tokenizer.unk_id == 0 and read(model=PIECES, roles={"stop": "</s>"}).encode("a</s>").tolist()[:2] == [2, 3]


@pytest.mark.parametrize("merges", [PAIRS["merges"], ["a b", "ab b"]], ids=["lists", "lines"])
def test_a_special_token_that_merges_make(merges):
    plain = read(model=PAIRS | {"merges": merges}, added_tokens=[])
    assert plain.encode("abb ab a").tolist() == [3, 2, 0]
    special = read(model=PAIRS | {"merges": merges}, added_tokens=[added(2, "ab")])
    assert special.encode("abb ab a").tolist() == [0, 1, 1, 0, 1, 0]
    assert special.encode("a ab", allow=["ab"]).tolist() == [0, 2]


def test_the_mark_of_hidden_names_is_no_way_in():
    """Catches a text that writes the hidden name itself."""
    assert read().encode("\ufdd0</s> \ufdd0the").tolist() == [0, 0]


def test_names_to_allow_are_special_tokens():
    with pytest.raises(ValueError, match=r"allow is \['the'\], expected some of the special tokens"):
        read().encode("the", allow=["the"])


def test_padding_and_truncation_of_the_file_do_not_apply():
    padding = {"strategy": {"Fixed": 1000}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
               "pad_type_id": 0, "pad_token": "<unk>"}  # fmt: skip
    truncation = {"max_length": 1, "strategy": "LongestFirst", "direction": "Right", "stride": 0}
    assert read(padding=padding, truncation=truncation).encode("the the").tolist() == [2, 2]


# ---------------------------------------------------------------------------------------- which tokens are special


def test_roles_by_name_by_the_model_and_as_given():
    tokenizer = read()
    assert tokenizer.special == ("<unk>", "</s>") and (tokenizer.unk_id, tokenizer.stop_id) == (0, 1)
    assert (tokenizer.pad_id, tokenizer.start_id, tokenizer.mask_id) == (None, None, None)
    tokenizer = read(roles={"pad": "the", "stop": None, "start": "</s>"})
    assert (tokenizer.pad_id, tokenizer.stop_id, tokenizer.start_id) == (2, None, 1)
    assert tokenizer.special == ("<unk>", "</s>", "the") and tokenizer.encode("the").tolist() == [0]


def test_decoding_leaves_out_padding_and_ends_at_stop():
    assert read().decode([2, 0, 2, 1, 2]) == "the <unk> the"
    assert read(roles={"pad": "<unk>", "unk": None}).decode([0, 2, 0, 2]) == "the the"


def test_words_with_marks():
    names = ["Ġa", "b", "Ġ", "</s>"]
    model = WORDS | {"vocab": {name: i for i, name in enumerate(names)}, "unk_token": "b"}
    tokenizer = read(model=model, added_tokens=[added(3, "</s>")])
    assert tokenizer.word_starts([0, 1, 1, 2, 3, 1]).tolist() == [True, True, True, True, True, True]
    assert read().word_starts([2, 2, 1]).all()


def test_ids_that_are_left_out_have_no_name():
    tokenizer = read(model=WORDS | {"vocab": {"<unk>": 0, "</s>": 1, "the": 5}})
    assert tokenizer.names == ["<unk>", "</s>", "", "", "", "the"] and tokenizer.encode("the x").tolist() == [5, 0]


def test_a_model_may_have_more_ids():
    tokenizer = JsonTokenizer.from_json(json.dumps(GOOD), 6)
    assert tokenizer.vocab_size == 6 and tokenizer.names == ["<unk>", "</s>", "the", "", "", ""]
    assert tokenizer.decode([2, 5, 2]) == "the the"
    for wrong in (2, 0, -1, 10_031, 10**12):
        with pytest.raises(ValueError, match=f"vocab_size is {wrong}, expected 3, the file's tokens, to 10030"):
            JsonTokenizer.from_json(json.dumps(GOOD), wrong)


@pytest.mark.parametrize(
    "roles, match",
    [
        ({"eos": "</s>"}, r"there is no role \['eos'\], expected some of \['pad'"),
        ({"pad": "<pad>"}, r"special tokens \['<pad>'\] are not in the vocabulary"),
    ],
)
def test_roles_that_are_none(roles, match):
    with pytest.raises(ValueError, match=match):
        read(roles=roles)
    with pytest.raises(ValueError, match=r"stop is 'the', expected one of the special tokens \['<unk>'\]"):
        JsonTokenizer(json.dumps(GOOD), ["<unk>"], read().roles | {"stop": "the"})


# ---------------------------------------------------------------------------------------- ours, written as tokenizer.json


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("special", [("<pad>", "<start>", "<stop>", "<unk>"), BERT_SPECIAL])
@pytest.mark.parametrize("kind, size", [(SubwordTokenizer, 300), (WordPieceTokenizer, 90)])
def test_trained_ones_keep_their_ids(kind, size, special, lower):
    ours = kind.from_texts(TEXTS * 3, size, special=special, lower=lower)
    again = JsonTokenizer.from_json(ours.to_json())
    assert again.vocab_size == ours.vocab_size and again.special_ids == ours.special_ids
    for role in ("pad", "start", "stop", "unk", "cls", "sep", "mask"):
        assert getattr(again, f"{role}_id") == getattr(ours, f"{role}_id")
    for text in [*TEXTS, "Unseen ☃ words: ΑΣ", "<stop> [SEP]", ""]:
        np.testing.assert_array_equal(again.encode(text), ours.encode(text))
    if ours.cls_id is not None:
        assert again.frame("sea").ids.tolist() == [ours.cls_id, *ours.encode("sea"), ours.sep_id]
        assert again.frame("sea", "by").types.tolist()[-2:] == [1, 1]
    assert again.to_json() == ours.to_json()


def test_a_special_token_that_is_a_part_too():
    with pytest.raises(ValueError, match=r"SubwordTokenizer: (\d+) tokens, expected different names, but there are \d+: name"):
        SubwordTokenizer.from_texts(TEXTS * 3, 300, special=["sea", "a"]).to_json()


# ---------------------------------------------------------------------------------------- hostile files

DEEP = '{"model": ' + "[" * 200_000
NESTED = {"type": "Sequence", "normalizers": []}
for _ in range(200):
    NESTED = {"type": "Sequence", "normalizers": [NESTED]}
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "pair": [],
            "special_tokens": {}}  # fmt: skip
HOSTILE = {
    "empty": "", "a number": "3", "a list": "[]", "nothing": "{}", "deep": DEEP, "cut off": json.dumps(GOOD)[:-9],
    "an endless number": '{"model": ' + "9" * 10_000 + "}", "no model": json.dumps(GOOD | {"model": None}),
    "no such model": GOOD | {"model": {"type": "Magic"}}, "no vocabulary": GOOD | {"model": {"type": "WordLevel"}},
    "an empty vocabulary": GOOD | {"model": WORDS | {"vocab": {}}, "added_tokens": []},
    "ids that are names": GOOD | {"model": WORDS | {"vocab": {"a": "b"}}},
    "negative ids": GOOD | {"model": WORDS | {"vocab": {"a": -1}}},
    "an id beyond memory": GOOD | {"model": WORDS | {"vocab": {"a": 0, "b": 4_000_000_000}}},
    "a merge of nothing": GOOD | {"model": PAIRS | {"merges": [["a", "x"]]}},
    "a merge that the library panics at": GOOD | {"model": PAIRS | {"continuing_subword_prefix": "ééé"}},
    "a normaliser that the library panics at": GOOD | {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AA"}},
    "nested normalisers": GOOD | {"normalizer": NESTED},
    "a broken pattern": GOOD | {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(("}}},
    "a frame of an unknown token": GOOD | {"post_processor": TEMPLATE},
    "an unknown token without an id": GOOD | {"model": PIECES | {"unk_id": 99}},
    "two tokens of one id": GOOD | {"model": WORDS | {"vocab": {"<unk>": 0, "</s>": 0}}},
    "added tokens of another shape": GOOD | {"added_tokens": [{"content": "a"}]},
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_file_raises_data_error_and_takes_no_memory(case):
    text = HOSTILE[case] if isinstance(HOSTILE[case], str) else json.dumps(HOSTILE[case])
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"^JsonTokenizer: .*tokenizer.json.*; get the file again|cannot be encoded|ids of the sp"):
            JsonTokenizer.from_json(text)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_frame_with_names_that_the_vocabulary_does_not_have():
    """The library frames by ids, and does not read the names."""
    frame = {"type": "BertProcessing", "sep": ["SEP", 1], "cls": ["CLS", 2]}
    tokenizer = read(post_processor=frame)
    assert (tokenizer.cls_id, tokenizer.sep_id) == (None, None) and tokenizer.frame("the").ids.tolist() == [2, 2, 1]


def test_any_change_is_read_or_refused_with_one_error():
    """Catches an exception of the library, or one of Python's, that reaches the caller."""
    rng = np.random.default_rng(0)
    text = json.dumps(GOOD | {"model": PAIRS, "added_tokens": [], "post_processor": TEMPLATE | {"single": []}})
    values = ["{", "}", "[", "]", '"', ",", "null", "-1", "1e400", "99", '"a"', "\\ud800", " ", "true", '"b":', "\0"]
    n_read = 0
    for _ in range(600):
        at, length = rng.integers(len(text)), rng.integers(3)
        changed = text[:at] + values[rng.integers(len(values))] + text[at + length :]
        try:
            tokenizer = JsonTokenizer.from_json(changed)
        except DataError:
            continue
        n_read += 1
        assert tokenizer.to_json() == changed
    assert 0 < n_read < 600


def test_files_too_long_are_not_parsed(monkeypatch):
    monkeypatch.setattr(tokenizer_json, "MOST_CHARACTERS", 100)
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(DataError, match="characters, expected at most 100"):
        read()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r'tokenizer.json needs tokenizers: pip install "tinytx\[exchange\]"'):
        read()
