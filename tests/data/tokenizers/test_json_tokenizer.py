"""Every kind of tokenizer.json encodes and decodes as ``tokenizers`` itself does, apart from names of special tokens."""

import json

import numpy as np
import pytest

tokenizers = pytest.importorskip("tokenizers")

from json_kinds import KINDS, SPECIAL, TEXTS, make  # noqa: E402

from tinytx.data import JsonTokenizer, tokenizer_from_dict  # noqa: E402

UNSEEN = ["", " ", "Shore\tshells  12,5 <new> sea-shells\n", "中文 ☃ é e\u0301 ﬁ", "\u200bŞEA SHELLS'"]


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """A tokenizer of the library, and ours of its file."""
    library = make(*KINDS[request.param])
    return library, JsonTokenizer.from_json(library.to_str())


def encoded(library, *texts, **options):
    """Return the library's encoding; None where it raises an error, as for an unknown word without a token for it."""
    try:
        return library.encode(*texts, **options)
    except Exception:
        return None


def assert_same(both, text):
    library, ours = both
    expected = encoded(library, text, add_special_tokens=False)
    if expected is None:
        with pytest.raises(ValueError, match="cannot be encoded"):
            ours.encode(text)
        return
    ids = ours.encode(text)
    assert ids.tolist() == expected.ids and ids.dtype == np.int64
    names = {i: name for name, i in library.get_vocab().items()}
    assert ours.tokens(ids) == [names[i] for i in expected.ids]
    assert ours.decode(ids) == library.decode(expected.ids, skip_special_tokens=False)
    for pair in (None, "the shore"):
        expected, framed = library.encode(text, pair), ours.frame(text, pair)
        assert framed.ids.tolist() == expected.ids and framed.types.tolist() == expected.type_ids
        assert framed.offsets.tolist() == [list(span) for span in expected.offsets]
        assert framed.words.tolist() == [-1 if i is None else i for i in expected.word_ids]
        assert framed.texts.tolist() == [-1 if i is None else i for i in expected.sequence_ids]


def test_texts(both):
    for text in TEXTS + UNSEEN:
        assert_same(both, text)


def test_any_text(both):
    rng = np.random.default_rng(0)
    letters = np.array([*"".join(TEXTS), "\n", "\u0301", "☃", "中", "<new>", "\0", "\U0001f600"], object)
    for _ in range(20):
        assert_same(both, "".join(rng.choice(letters, rng.integers(1, 30))))


def test_the_file_comes_back_unchanged(both):
    library, ours = both
    again = tokenizer_from_dict(json.loads(json.dumps(ours.to_dict())))
    assert ours.to_json() == again.to_json() == library.to_str()
    assert again.names == ours.names and repr(again) == repr(ours) and again.roles == ours.roles
    assert ours.names == sorted(library.get_vocab(), key=library.get_vocab().get)


def test_roles(both):
    library, ours = both
    assert [ours.pad_id, ours.mask_id, ours.start_id, ours.stop_id] == [0, 4, None, None]
    assert ours.unk_id == 1 and ours.special == tuple(SPECIAL) and ours.special_ids == (0, 1, 2, 3, 4)
    assert [ours.cls_id, ours.sep_id] == [2, 3]


def test_a_text_cannot_write_a_special_token(both):
    """Catches a name that the list of added tokens or the vocabulary turns into the token."""
    _, ours = both
    for text in ("the [SEP] shells", "[CLS]the", "[SEP]", " [SEP]", "<mask><mask>", "\ufdd0[SEP] [CLS]", *SPECIAL):
        try:
            ids = ours.encode(text)
        except ValueError:  # it is unknown, and there is no token for that
            assert ours.unk_id is None or ours.names[ours.unk_id] not in ours._plain.get_vocab(with_added_tokens=False)
        else:
            assert not np.isin(ids, [0, 2, 3, 4]).any(), text
            assert len(ours.frame(text).ids) - len(ids) == len(ours.frame("the").ids) - len(ours.encode("the"))


def test_allowed_names_are_the_tokens(both):
    library, ours = both
    text = "the <mask> shells"
    assert ours.encode(text, allow=["<mask>"]).tolist() == library.encode(text, add_special_tokens=False).ids
    assert ours.encode(text, allow=ours.special).tolist() == library.encode(text, add_special_tokens=False).ids
    assert (ours.encode(text + "[SEP]", allow=["<mask>"]) == 4).sum() == 1
    assert not (ours.encode(text + "[SEP]", allow=["<mask>"]) == 3).any()


def types(value):
    """Yield every "type" in a JSON value."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield value["type"]
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from types(item)


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "post_processor", "decoder", "model"])
def test_the_table_has_every_kind_that_the_library_makes(part):
    module = {"post_processor": "processors"}.get(part, f"{part}s")
    base = {"post_processor": "PostProcessor"}.get(part, "".join(word.title() for word in part.split("_")))
    classes = {name: value for name, value in vars(getattr(tokenizers, module)).items() if isinstance(value, type)}
    kinds = {name for name, value in classes.items() if issubclass(value, classes[base])} - {base}
    seen = {t for kind in KINDS.values() for t in types(json.loads(make(*kind).to_str())[part])}
    assert kinds <= seen, kinds - seen


def test_there_are_at_least_fifty_kinds():
    assert len(KINDS) >= 50 and len({json.dumps(kind) for kind in KINDS.values()}) == len(KINDS)
