"""Word pieces of transformers' own BERT tokenizer, written in Python by others."""

import numpy as np
import pytest

pytestmark = pytest.mark.oracle
pytest.importorskip("tokenizers")
legacy = pytest.importorskip("transformers.models.bert.tokenization_bert_legacy")

from hypothesis import assume, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tinytx.data import WordPieceTokenizer, builtin_corpus, sentences  # noqa: E402

TEXTS = sentences(builtin_corpus(), "prose")
TOKENIZERS = {lower: WordPieceTokenizer.from_texts(TEXTS, 1500, lower=lower) for lower in (True, False)}


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def both(request, tmp_path_factory):
    """Return our tokenizer and theirs, of the same vocabulary."""
    tokenizer = TOKENIZERS[request.param]
    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("\n".join(tokenizer.names) + "\n", encoding="utf-8")
    theirs = legacy.BertTokenizerLegacy(str(path), do_lower_case=request.param)
    return WordPieceTokenizer.from_vocab(path, lower=request.param), theirs


def assert_same(both, text):
    ours, theirs = both
    assert ours.tokens(ours.encode(text)) == theirs.tokenize(text)


def test_texts(both):
    for text in TEXTS[::7]:
        assert_same(both, text)
    ours, theirs = both
    np.testing.assert_array_equal(ours.encode(TEXTS[0]), theirs.convert_tokens_to_ids(theirs.tokenize(TEXTS[0])))


@given(
    text=st.text(
        st.sampled_from("Thestamn ÉÇçñ中文.,!'\"-_$€\t\n☃\u0301\u00ad\u200b") | st.characters(max_codepoint=0x17F)
    )
)
def test_any_text(both, text):
    """Theirs reads the name of a special token in a text as that token; ours never does (`test_special_names`)."""
    assume(not any(name in text for name in both[0].special))
    assert_same(both, text)


@pytest.mark.parametrize("name", ["[SEP]", "[CLS]", "[PAD]"])
def test_special_names(both, name):
    """Catches a text that smuggles in a special token by writing its name."""
    ours, theirs = both
    ids = ours.encode(f"the {name} the")
    assert theirs.tokenize(name) == [name] and name not in ours.tokens(ids)
    assert ours.tokens(ids) == ours.tokens(ours.encode(f"the [ {name[1:-1]} ] the"))
