"""Tokenizers of transformers: what it writes is read here, and what is written here is read there, with equal ids."""

import json

import pytest

pytestmark = pytest.mark.oracle
pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from json_kinds import TEXTS  # noqa: E402

from tinytx.data import BERT_SPECIAL, SubwordTokenizer, WordPieceTokenizer, load_tokenizer, save_tokenizer  # noqa: E402

SUBWORDS = SubwordTokenizer.from_texts(TEXTS * 3, 300, special=())
PIECES = WordPieceTokenizer.from_texts(TEXTS * 3, 90)
GPT1 = {name: i for i, name in enumerate(["<unk>", *"shela", "s</w>", "a</w>", "sh", "sea</w>", "ea</w>"])}
T5 = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -2.0 - i / 10) for i, piece in enumerate(["▁", *"shelabyort", "▁sea", "▁the"]))]


def ids_of(names):
    return {name: i for i, name in enumerate(names)}


THEIRS = {
    "gpt2": lambda: transformers.GPT2Tokenizer(ids_of([*SUBWORDS.parts, "<|endoftext|>"]), SUBWORDS.merges),
    "roberta": lambda: transformers.RobertaTokenizer(
        ids_of(["<s>", "<pad>", "</s>", "<unk>", *SUBWORDS.parts, "<mask>"]), SUBWORDS.merges
    ),
    "bert": lambda: transformers.BertTokenizer(ids_of(PIECES.names)),
    "bert cased": lambda: transformers.BertTokenizer(ids_of(PIECES.names), do_lower_case=False),
    "gpt1": lambda: transformers.OpenAIGPTTokenizer(GPT1, [("s", "h"), ("e", "a</w>"), ("s", "ea</w>")]),
    "t5": lambda: transformers.T5Tokenizer(T5, extra_ids=3),
}
PURPOSES = {"pad": "pad", "start": "bos", "stop": "eos", "unk": "unk", "cls": "cls", "sep": "sep", "mask": "mask"}
UNSEEN = [*TEXTS, "Unseen ☃ words", "", " the  sea\n", "sea\u0301"]


@pytest.fixture(params=THEIRS)
def theirs(request):
    return THEIRS[request.param]()


def assert_same(ours, theirs):
    for text in UNSEEN:
        assert ours.encode(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.frame(text).ids.tolist() == theirs(text)["input_ids"]
        assert ours.frame(text, "the sea").ids.tolist() == theirs(text, "the sea")["input_ids"]
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs(text, add_special_tokens=False)["input_ids"])
    for role, name in PURPOSES.items():
        assert getattr(ours, f"{role}_id") == getattr(theirs, f"{name}_token_id"), role
    assert ours.vocab_size == len(theirs)


def test_their_folders(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    assert_same(load_tokenizer(tmp_path), theirs)


def test_our_folders(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_tokenizer(tmp_path / "theirs")
    save_tokenizer(tmp_path / "ours", ours)
    assert_same(ours, transformers.AutoTokenizer.from_pretrained(tmp_path / "ours"))


@pytest.mark.parametrize("name", ["gpt2", "roberta", "bert", "bert cased", "gpt1"])
def test_older_files(name, tmp_path):
    theirs = THEIRS[name]()
    theirs.save_pretrained(tmp_path)
    model = json.loads((tmp_path / "tokenizer.json").read_text())["model"]
    (tmp_path / "tokenizer.json").unlink()
    if "merges" in model:
        (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
        (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    else:
        (tmp_path / "vocab.txt").write_text("\n".join(model["vocab"]) + "\n")
    assert_same(load_tokenizer(tmp_path), theirs)


@pytest.mark.parametrize("special", [("<pad>", "<start>", "<stop>", "<unk>"), BERT_SPECIAL])
@pytest.mark.parametrize("kind, size", [(SubwordTokenizer, 300), (WordPieceTokenizer, 90)])
def test_those_trained_here(kind, size, special, tmp_path):
    ours = kind.from_texts(TEXTS * 3, size, special=special)
    save_tokenizer(tmp_path, ours)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in UNSEEN:
        assert ours.encode(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"]
    assert [theirs.pad_token_id, theirs.unk_token_id] == [ours.pad_id, ours.unk_id]
