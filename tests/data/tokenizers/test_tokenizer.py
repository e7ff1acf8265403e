"""What all tokenizers promise, each of them trained on the same few texts."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import (
    BERT_SPECIAL,
    SPECIAL,
    TOKENIZERS,
    JsonTokenizer,
    SubwordTokenizer,
    TutorialTokenizer,
    WordPieceTokenizer,
    WordTokenizer,
    build_tokenizers,
    tokenizer_from_dict,
)
from tinytx.files import load_arrays, save_arrays

pytest.importorskip("tokenizers")

PAIRS = [("the cat sat on the mat", "le chat s'assit sur le tapis"), ("the cat", "le chat"), ("<stop> it", "arrête !")]
OPTIONS = {"characters": {}, "words": {}, "subwords": {"vocab_size": 280}}
SHARED = {kind: build_tokenizers(PAIRS, kind, shared=True, **OPTIONS[kind])[0] for kind in TOKENIZERS}
every_kind = pytest.mark.parametrize("tokenizer", SHARED.values(), ids=SHARED)
TEXTS = [text for pair in PAIRS for text in pair]
ALL = SHARED | {  # those of BERT too, which have special tokens of their own
    "tutorial": TutorialTokenizer.from_texts(TEXTS),
    "wordpieces": WordPieceTokenizer.from_texts(TEXTS, 80),
    "published": WordPieceTokenizer(["a", "##b"], special_ids=(1, 0, 3, 6, 5)),
    "bert words": WordTokenizer.from_texts(TEXTS, special=BERT_SPECIAL),
    "tokenizer.json": JsonTokenizer.from_json(WordPieceTokenizer.from_texts(TEXTS, 80).to_json()),
}
all_kinds = pytest.mark.parametrize("tokenizer", ALL.values(), ids=ALL)


@every_kind
def test_special_tokens_have_the_first_ids(tokenizer):
    assert tokenizer.special == SPECIAL == ("<pad>", "<start>", "<stop>", "<unk>")
    assert (tokenizer.pad_id, tokenizer.start_id, tokenizer.stop_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert tokenizer.tokens([0, 1, 2, 3]) == list(SPECIAL)
    assert tokenizer.special_id("<stop>") == 2
    assert len(tokenizer.names) == tokenizer.vocab_size


@every_kind
def test_texts_of_the_corpus_come_back(tokenizer):
    for pair in PAIRS:
        for text in pair:
            ids = tokenizer.encode(text)
            assert ids.dtype == np.int64 and ids.ndim == 1 and ids.min() >= len(SPECIAL)
            assert tokenizer.decode(ids).replace(" ", "") == text.replace(" ", "")
            if text.isascii():  # the others' characters may be cut between two subwords
                assert "".join(tokenizer.tokens(ids)).replace(" ", "") == text.replace(" ", "")


@every_kind
@given(text=st.lists(st.sampled_from([*"thecasmo <>padru'é\n☃", *SPECIAL])).map("".join))
def test_no_text_encodes_to_a_special_token_but_unknown(tokenizer, text):
    """Catches a text that ends its own translation: "<stop>"."""
    assert not np.isin(tokenizer.encode(text), [0, 1, 2]).any()
    assert not np.isin(tokenizer.encode("<pad><start><stop>" + text), [0, 1, 2]).any()


@all_kinds
def test_ids_of_special_tokens_and_of_others_make_up_the_vocabulary(tokenizer):
    assert len(tokenizer.special_ids) == len(tokenizer.special)
    assert tuple(tokenizer.names[i] for i in tokenizer.special_ids) == tokenizer.special
    for name, i in zip(tokenizer.special, tokenizer.special_ids, strict=True):
        assert tokenizer.special_id(name) == i
    assert not set(tokenizer.special_ids) & set(tokenizer.encode("a").tolist()) - {tokenizer.unk_id}
    seen = {i for name in tokenizer.names for i in tokenizer.encode(name).tolist()}
    assert seen <= set(range(tokenizer.vocab_size))


@all_kinds
def test_roles_of_special_tokens(tokenizer):
    roles = {"pad": "<pad> [PAD] <ignore>", "unk": "<unk> [UNK] <oov>", "mask": "<mask> [MASK]", "cls": "[CLS]",
             "sep": "[SEP]", "start": "<start>", "stop": "<stop>"}  # fmt: skip
    for role, names in roles.items():
        ids = [tokenizer.special_id(name) for name in names.split() if name in tokenizer.special]
        assert getattr(tokenizer, f"{role}_id") == (ids[0] if ids else None)


@all_kinds
def test_word_starts(tokenizer):
    ids = np.arange(tokenizer.vocab_size)
    starts = tokenizer.word_starts(ids)
    assert starts.dtype == bool and starts.shape == ids.shape
    assert starts[list(tokenizer.special_ids)].all()
    with pytest.raises(ValueError, match="outside"):
        tokenizer.word_starts([tokenizer.vocab_size])


@every_kind
@given(text=st.text("thecaX☃ \n"))
def test_unknown_pieces_are_those_that_become_unk(tokenizer, text):
    """Catches a note about words that are known, and silence about those that are not."""
    unknown = tokenizer.unknown(text)
    assert len(unknown) == (tokenizer.encode(text) == tokenizer.unk_id).sum()
    assert all(piece in text and (tokenizer.encode(piece) == tokenizer.unk_id).all() for piece in unknown)


@every_kind
def test_decode_ends_at_stop_and_leaves_out_padding(tokenizer):
    ids = tokenizer.encode("the cat").tolist()
    assert tokenizer.decode([1, *ids, 2, 0, 0]) == "the cat"
    assert tokenizer.decode([1, *ids, 2, *ids, 2, 1]) == "the cat"
    assert tokenizer.decode([0, 1, 0, *ids]) == "the cat"
    assert tokenizer.decode([1, 2, *ids]) == tokenizer.decode([2]) == tokenizer.decode([0, 0]) == ""
    assert tokenizer.decode([*ids, 3]).replace(" ", "") == "thecat<unk>"
    assert tokenizer.decode([3, *ids]).replace(" ", "") == "<unk>thecat"


@all_kinds
def test_decode_with_all_special_tokens_or_with_none(tokenizer):
    ids = [i for i in tokenizer.encode("the cat").tolist() if i != tokenizer.unk_id]
    first, *_, last = tokenizer.special_ids
    assert tokenizer.decode([first, *ids, last, *ids], special=False) == tokenizer.decode([*ids, *ids])
    text = tokenizer.decode([first, *ids, last, *ids], special=True)
    assert text.startswith(tokenizer.special[0]) and text.count(tokenizer.special[-1]) == 1


@all_kinds
def test_nothing_to_encode(tokenizer):
    assert tokenizer.encode("").shape == (0,) and tokenizer.encode("").dtype == np.int64
    assert tokenizer.decode([]) == "" and tokenizer.tokens([]) == []


@all_kinds
def test_saved_as_json_and_loaded(tokenizer, tmp_path):
    save_arrays(tmp_path / "checkpoint.npz", {}, {"tokenizer": tokenizer.to_dict()})
    again = tokenizer_from_dict(load_arrays(tmp_path / "checkpoint.npz")[1]["tokenizer"])
    assert type(again) is type(tokenizer)
    assert again.to_dict() == tokenizer.to_dict() and again.names == tokenizer.names
    text = "the mattress, « chat » ☃"
    np.testing.assert_array_equal(again.encode(text), tokenizer.encode(text))
    assert repr(again) == repr(tokenizer)


@all_kinds
def test_a_tokenizer_json_is_for_kinds_that_the_library_has(tokenizer):
    if isinstance(tokenizer, (SubwordTokenizer, WordPieceTokenizer, JsonTokenizer)):
        assert json.loads(tokenizer.to_json())["version"] == "1.0"
    else:
        with pytest.raises(ValueError, match=f"Tokenizer: a tokenizer.json has no rules for .* {tokenizer.kind}: train"):
            tokenizer.to_json()


@every_kind
def test_other_special_tokens(tokenizer):
    """What a masked language model needs."""
    state = tokenizer.to_dict() | {"special": ["<mask>", "<unk>"]}
    other = tokenizer_from_dict(json.loads(json.dumps(state)))
    assert (other.pad_id, other.stop_id, other.unk_id, other.special_id("<mask>")) == (None, None, 1, 0)
    np.testing.assert_array_equal(other.encode("the cat"), tokenizer.encode("the cat") - 2)
    assert other.decode([*other.encode("the"), 0]).replace(" ", "") == "the<mask>"
    with pytest.raises(ValueError, match=r"'<pad>' is not among its special tokens .*build it with special="):
        other.special_id("<pad>")


@all_kinds
@pytest.mark.parametrize("special", [["<pad>", "<pad>"], ["<pad>", ""], ["<pad>", 3]])
def test_special_tokens_that_are_none(tokenizer, special):
    with pytest.raises(ValueError, match="special tokens are .*expected different names"):
        tokenizer_from_dict(tokenizer.to_dict() | {"special": special})


@all_kinds
@pytest.mark.parametrize(
    "ids, error, match",
    [
        ([0, 10**6], ValueError, r"id 1000000 at position 1 is outside 0\.\."),
        ([-1], ValueError, "id -1 at position 0"),
        ([0.0], TypeError, "float64"),
        ([[0]], ValueError, r"shape \(1, 1\)"),
    ],
)
def test_what_cannot_be_decoded(tokenizer, ids, error, match):
    for decode in (tokenizer.decode, tokenizer.tokens):
        with pytest.raises(error, match=f"{type(tokenizer).__name__}.*{match}"):
            decode(ids)


@all_kinds
@pytest.mark.parametrize("text", [None, 3, ["the"], b"the"])
def test_what_cannot_be_encoded(tokenizer, text):
    with pytest.raises(TypeError, match=f"{type(tokenizer).__name__}: text is a {type(text).__name__}"):
        tokenizer.encode(text)


# ---------------------------------------------------------------------------------------- vocabularies


def test_separate_vocabularies():
    source, target = build_tokenizers(PAIRS, "words")
    assert "cat" in source.words and "cat" not in target.words and "chat" in target.words


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_shared_vocabulary_is_one_object(kind):
    source, target = build_tokenizers(PAIRS, kind, shared=True, **OPTIONS[kind])
    assert source is target
    assert source.unk_id not in source.encode("the cat le chat")


def test_options_reach_the_tokenizer():
    source, target = build_tokenizers([("The the a", "Le le un")], "words", lower=True, max_words=1)
    assert source.words == ["the"] and target.words == ["le"]
    assert build_tokenizers(PAIRS, "characters", special=())[0].special == ()


def test_kinds_that_there_are_not():
    with pytest.raises(ValueError, match="kind is 'bytes', expected one of characters, words, subwords"):
        build_tokenizers(PAIRS, "bytes")


@pytest.mark.parametrize("state", [None, "words", {}, {"kind": "bytes"}, {"kind": ["words"]}, {"kind": None}])
def test_states_that_are_none(state):
    with pytest.raises(ValueError, match="is not what a tokenizer's to_dict returns"):
        tokenizer_from_dict(state)


@all_kinds
def test_every_missing_or_misshapen_field_is_refused(tokenizer):
    for name, value in tokenizer.to_dict().items():
        for wrong in (None, 3, {}, [3], [["a"]], [["a", 3]]):
            if name != "special" or not isinstance(wrong, list):
                with pytest.raises(ValueError, match="okenizer"):
                    tokenizer_from_dict(tokenizer.to_dict() | {name: wrong})
        if name not in ("kind", "special"):
            state = tokenizer.to_dict()
            del state[name]
            with pytest.raises(ValueError, match=type(tokenizer).__name__):
                tokenizer_from_dict(state)
        assert tokenizer.to_dict()[name] == value  # the state is not the tokenizer's own memory
    for other in {type(tokenizer) for tokenizer in ALL.values()}:
        if other is not type(tokenizer):
            with pytest.raises(ValueError, match=f"is not what {other.__name__}.to_dict returns"):
                other.from_dict(tokenizer.to_dict())
