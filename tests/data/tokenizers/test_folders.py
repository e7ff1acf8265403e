"""Folders of Hugging Face's libraries: tokenizer.json, and the older files that hold a vocabulary."""

import json

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from json_kinds import TEXTS  # noqa: E402

from tinytx.data import (  # noqa: E402
    BERT_SPECIAL,
    CharTokenizer,
    DataError,
    JsonTokenizer,
    SubwordTokenizer,
    WordPieceTokenizer,
    load_tokenizer,
    save_tokenizer,
)
from tinytx.data.tokenizers import folders  # noqa: E402

SUBWORDS = SubwordTokenizer.from_texts(TEXTS * 3, 300, special=())
PIECES = WordPieceTokenizer.from_texts(TEXTS * 3, 90)
UNSEEN = [*TEXTS, "Unseen ☃ words", "<s> a </s> [SEP]", "", " the  sea\n"]


def write(folder, **files):
    """Write files, named with _ in place of the dot: text, or what JSON holds."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / ".".join(name.rsplit("_", 1))).write_text(text, encoding="utf-8")
    return folder


def merges_of(tokenizer):
    return "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in tokenizer.merges)


GPT2 = {"vocab_json": {name: i for i, name in enumerate([*SUBWORDS.parts, "<|endoftext|>"])}, "merges_txt": merges_of(SUBWORDS)}
NAMES = ["<s>", "<pad>", "</s>", "<unk>", *SUBWORDS.parts, "<mask>"]
ROBERTA = GPT2 | {"vocab_json": {name: i for i, name in enumerate(NAMES)}}
GPT1 = {"vocab_json": {"<unk>": 0, "a": 1, "b": 2, "b</w>": 3, "ab</w>": 4, "c": 5}, "merges_txt": "#version: 0.2\na b</w>\n"}
BERT = {"vocab_txt": "".join(f"{name}\n" for name in PIECES.names)}


def test_gpt2(tmp_path):
    tokenizer = load_tokenizer(write(tmp_path, **GPT2))
    for text in UNSEEN:
        np.testing.assert_array_equal(tokenizer.encode(text), SUBWORDS.encode(text))
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.special == ("<|endoftext|>",) and tokenizer.stop_id == len(SUBWORDS.parts)
    assert tokenizer.frame("sea").ids.tolist() == tokenizer.encode("sea").tolist()


def test_one_token_may_begin_and_end_a_text(tmp_path):
    tokenizer = load_tokenizer(write(tmp_path, **GPT2), start="<|endoftext|>")
    ids, stop = tokenizer.encode("the sea").tolist(), tokenizer.stop_id
    assert tokenizer.decode([stop, *ids, stop, *ids]) == tokenizer.decode(ids) == "the sea"


def test_roberta(tmp_path):
    tokenizer = load_tokenizer(write(tmp_path, **ROBERTA, tokenizer_config_json={"add_prefix_space": True}))
    ids = SUBWORDS.encode(" the sea") + 4
    assert tokenizer.encode("the sea").tolist() == ids.tolist()
    assert tokenizer.frame("the sea").ids.tolist() == [0, *ids, 2]
    assert tokenizer.frame("the sea", "the sea").ids.tolist() == [0, *ids, 2, 2, *ids, 2]
    assert [tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.start_id, tokenizer.stop_id] == [1, 0, 2, 0, 2]
    assert (tokenizer.unk_id, tokenizer.mask_id) == (3, len(NAMES) - 1)


def test_gpt1(tmp_path):
    tokenizer = load_tokenizer(write(tmp_path, **GPT1))
    assert tokenizer.tokens(tokenizer.encode("AB, abb cb é")) == ["ab</w>", "<unk>", "a", "b", "b</w>", "c", "b</w>", "<unk>"]
    assert tokenizer.decode([4, 1, 3, 5, 3]) == "ab ab cb" and tokenizer.unk_id == 0
    assert tokenizer.word_starts([4, 1, 3, 5, 3]).tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("lower", [True, False])
def test_bert(tmp_path, lower):
    tokenizer = load_tokenizer(write(tmp_path, **BERT, tokenizer_config_json={"do_lower_case": lower}))
    path = tmp_path / "vocab.txt"
    ours = WordPieceTokenizer.from_vocab(path, lower=lower)
    for text in UNSEEN:
        np.testing.assert_array_equal(tokenizer.encode(text), ours.encode(text))
    assert tokenizer.special == BERT_SPECIAL and tokenizer.frame("sea").ids[[0, -1]].tolist() == [2, 3]


def test_accents_kept_as_the_settings_say(tmp_path):
    words = write(tmp_path, vocab_txt="[UNK]\ncafé\ncafe\n", tokenizer_config_json={"strip_accents": False})
    assert load_tokenizer(words).encode("Café").tolist() == [1]
    write(tmp_path, tokenizer_config_json={"strip_accents": None})
    assert load_tokenizer(words).encode("Café").tolist() == [2]


@pytest.mark.parametrize("file", ["tokenizer_config_json", "special_tokens_map_json"])
def test_purposes_that_the_settings_state(tmp_path, file):
    tokens = {"pad_token": "<|endoftext|>", "bos_token": {"content": "<|endoftext|>", "lstrip": True}, "eos_token": None}
    tokenizer = load_tokenizer(write(tmp_path, **GPT2, **{file: tokens}))
    assert (tokenizer.pad_id, tokenizer.start_id, tokenizer.stop_id) == (tokenizer.vocab_size - 1,) * 2 + (None,)
    assert load_tokenizer(tmp_path, stop="<|endoftext|>").stop_id == tokenizer.pad_id


def test_of_two_statements_the_newer_file_counts(tmp_path):
    old, new = {"pad_token": None, "bos_token": "<|endoftext|>"}, {"pad_token": "<|endoftext|>"}
    tokenizer = load_tokenizer(write(tmp_path, **GPT2, special_tokens_map_json=old, tokenizer_config_json=new))
    assert tokenizer.pad_id == tokenizer.start_id == tokenizer.vocab_size - 1


def test_a_vocabulary_with_gaps_is_no_list_of_lines(tmp_path):
    """Catches a vocab.txt whose line numbers are not the ids."""
    state = json.loads(PIECES.to_json())
    state["model"]["vocab"]["gap"] = 95
    save_tokenizer(tmp_path, JsonTokenizer.from_json(json.dumps(state)))
    assert "vocab.txt" not in {path.name for path in tmp_path.iterdir()}
    assert load_tokenizer(tmp_path).names[-6:] == [""] * 5 + ["gap"]


def test_added_tokens(tmp_path):
    n = len(GPT2["vocab_json"])
    added = {"<new>": n + 1, "[PAD]": n}
    tokenizer = load_tokenizer(write(tmp_path, **GPT2, added_tokens_json=added, tokenizer_config_json={"pad_token": "[PAD]"}))
    assert tokenizer.pad_id == n and tokenizer.special == ("<|endoftext|>", "[PAD]")
    assert tokenizer.encode("the<new>").tolist()[-1] == n + 1 and n not in tokenizer.encode("[PAD]")
    write(tmp_path, special_tokens_map_json={"additional_special_tokens": ["<new>"]})
    assert n + 1 not in load_tokenizer(tmp_path).encode("the<new>")
    write(tmp_path, added_tokens_json={"<new>": n + 5})
    with pytest.raises(DataError, match=f"added token '<new>' has id {n + 5}, expected {n}, after the ids of the vocabulary"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("files", [GPT2, ROBERTA, GPT1, BERT], ids=["gpt2", "roberta", "gpt1", "bert"])
def test_written_folders_hold_the_same_twice(files, tmp_path):
    """Catches older files that are not those of the tokenizer.json."""
    tokenizer = load_tokenizer(write(tmp_path, **files))
    save_tokenizer(tmp_path / "new", tokenizer)
    again = load_tokenizer(tmp_path / "new")
    assert again.to_dict() == tokenizer.to_dict()
    assert (tmp_path / "new/tokenizer.json").read_text(encoding="utf-8") == tokenizer.to_json()
    (tmp_path / "new/tokenizer.json").unlink()
    assert load_tokenizer(tmp_path / "new").to_dict() == tokenizer.to_dict()
    for name in {path.name for path in tmp_path.iterdir()} & {"vocab.json", "merges.txt", "vocab.txt"}:
        old, new = ((folder / name).read_text(encoding="utf-8") for folder in (tmp_path, tmp_path / "new"))
        assert json.loads(old) == json.loads(new) if name.endswith("json") else old == new


def test_a_trained_tokenizer_is_written(tmp_path):
    save_tokenizer(tmp_path, PIECES)
    assert {path.name for path in tmp_path.iterdir()} == {"tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    np.testing.assert_array_equal(load_tokenizer(tmp_path).encode("the shells"), PIECES.encode("the shells"))
    with pytest.raises(ValueError, match="CharTokenizer: a tokenizer.json has no rules"):
        save_tokenizer(tmp_path, CharTokenizer("ab"))


def test_merges_that_lines_cannot_hold_are_in_the_tokenizer_json_alone(tmp_path):
    model = {"type": "BPE", "vocab": {" ": 0, "a": 1, " a": 2}, "merges": [[" ", "a"]], "unk_token": None}
    tokenizer = JsonTokenizer.from_json(json.dumps({"version": "1.0", "model": model, "added_tokens": []}))
    save_tokenizer(tmp_path, tokenizer)
    assert {path.name for path in tmp_path.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    assert load_tokenizer(tmp_path).encode(" a").tolist() == [2]


@pytest.mark.parametrize(
    "files, match",
    [
        ({}, r"has no tokenizer.json, no vocab.json with merges.txt and no vocab.txt: put the model's tokenizer.json"),
        ({"vocab_json": {}}, "has no tokenizer.json"),
        ({"tokenizer_json": "[" * 200_000}, "tokenizer.json is not JSON: .*recursion"),
        ({"tokenizer_json": "\0"}, "is not UTF-8: byte 0x00"),
        (GPT2 | {"vocab_json": "[]"}, "vocab.json: it holds '.*', expected a JSON object"),
        (GPT2 | {"vocab_json": {"a": 0}}, "do not fit: .* out of vocabulary|do not fit: "),
        (GPT2 | {"vocab_json": {"a": "b"}, "merges_txt": "\n"}, "do not fit: 1 tokens, expected the 256 bytes"),
        (GPT2 | {"merges_txt": "a b c\n"}, "merges.txt: 'a b c' is not two parts"),
        (GPT2 | {"merges_txt": "q z\n"}, "do not fit: "),
        (GPT2 | {"tokenizer_config_json": {"pad_token": 3}}, "special token is 3, expected its name"),
        (GPT2 | {"tokenizer_config_json": {"pad_token": {"content": ["a"]}}}, r"special token is \['a'\]"),
        (GPT2 | {"tokenizer_config_json": {"add_prefix_space": "yes"}}, "do not fit: "),
        (GPT2 | {"tokenizer_config_json": "{"}, "tokenizer_config.json: Expecting"),
        (GPT2 | {"added_tokens_json": {"a": "b"}}, "do not fit: added token 'a' has id 'b'"),
        ({"vocab_txt": "a\n\nb\n"}, "line 2: '' is empty"),
    ],
)
def test_folders_that_are_none(files, match, tmp_path):
    with pytest.raises(DataError, match=match):
        load_tokenizer(write(tmp_path, **files))
    with pytest.raises(DataError, match="has no tokenizer.json"):
        load_tokenizer(tmp_path / "none")


def test_a_special_token_that_is_not_in_the_vocabulary(tmp_path):
    with pytest.raises(DataError, match=r"load_tokenizer: .*: special tokens \['\[PAD\]'\] are not in the vocabulary.*yourself \(pad="):
        load_tokenizer(write(tmp_path, **GPT2, tokenizer_config_json={"pad_token": "[PAD]"}))


@pytest.mark.parametrize("files", [GPT1, BERT], ids=["gpt1", "bert"])
def test_any_change_of_any_file_is_read_or_refused_with_one_error(files, tmp_path):
    """Catches an exception of the library, or one of Python's, that reaches the caller."""
    rng, n_read = np.random.default_rng(0), 0
    settings = {"tokenizer_config_json": {"unk_token": "<unk>", "pad_token": {"content": "[PAD]", "lstrip": True}}}
    write(tmp_path, **files | settings | {"added_tokens_json": {"[PAD]": 6} if files is GPT1 else {}})
    paths = sorted(tmp_path.iterdir())
    values = ["{", "}", "[", "]", '"', ",", "null", "-1", "1e400", "99", '"a"', "\\ud800", " ", "true", "\n", "\0", "7"]
    for _ in range(80):
        path = paths[rng.integers(len(paths))]
        text = path.read_text(encoding="utf-8")
        at, length = rng.integers(len(text)), rng.integers(3)
        path.write_text(text[:at] + values[rng.integers(len(values))] + text[at + length :], encoding="utf-8")
        try:
            load_tokenizer(tmp_path)
            n_read += 1
        except DataError:
            pass
        path.write_text(text, encoding="utf-8")
    assert 0 < n_read < 80


def test_files_too_long_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST_CHARACTERS", 10)
    with pytest.raises(DataError, match=r"tokenizer.json has \d+ bytes"):
        load_tokenizer(write(tmp_path, tokenizer_json=PIECES.to_json()))
