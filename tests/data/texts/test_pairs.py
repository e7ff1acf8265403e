from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinytx
from tinytx.data import DataError, read_aligned, read_pairs, split_pairs

SHARED = Path(tinytx.__file__).parents[2] / "shared/data"
TATOEBA = SHARED / "tatoeba.eng-fra.tsv"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\t\n\r\ufeff"), min_size=1).filter(lambda t: t.strip())


@pytest.fixture
def write(tmp_path):
    def write(content, name="pairs.tsv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


# ---------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "content, columns, pairs",
    [
        ("a\tb\nc d\te\n", (1, 2), [("a", "b"), ("c d", "e")]),
        ("a\tb\r\nc\td", (1, 2), [("a", "b"), ("c", "d")]),
        ("\ufeffa \t b\n", (1, 2), [("a", "b")]),
        ("1\ta\tCC\tb\n2\tc\tBY\td\te\n", (2, 4), [("a", "b"), ("c", "d")]),
        ("a\tb\tc\n", (2, 1), [("b", "a")]),
        ("a\x85b\u2028c\te\x0b\x1cf\n", (1, 2), [("a\x85b\u2028c", "e\x0b\x1cf")]),  # lines end at \n and \r alone
        ("one\tun\rtwo\tdeux\rthree\ttrois\r", (1, 2), [("one", "un"), ("two", "deux"), ("three", "trois")]),
        ("a\tb\r\nc\td\re\tf\n", (1, 2), [("a", "b"), ("c", "d"), ("e", "f")]),
        ("\ufeff\ufeffa\tb\n\ufeffc\td", (1, 2), [("a", "b"), ("c", "d")]),
    ],
)
def test_read_pairs(write, content, columns, pairs):
    read = read_pairs(write(content), columns)
    assert read.pairs == pairs and read.skipped == []
    assert f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} from " in read.report and f"columns {columns[0]} and {columns[1]}" in read.report


@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1))
def test_what_is_written_is_read(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for name, text in [("both", "".join(f"{s}\t{t}\n" for s, t in pairs))]:
        (folder / name).write_text(text, encoding="utf-8", newline="")
    for name, side in [("source", 0), ("target", 1)]:
        text = "".join(pair[side] + "\n" for pair in pairs)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    stripped = [(source.strip(), target.strip()) for source, target in pairs]
    assert read_pairs(folder / "both").pairs == stripped
    assert read_aligned(folder / "source", folder / "target").pairs == stripped


@pytest.mark.parametrize(
    "content, columns, match",
    [
        (b"a\tb\nno tab\n", (1, 2), r"pairs.tsv: line 2: no tab in 'no tab'; separate .* by one tab"),
        (b"a\tb\n\nc\td\n", (1, 2), "line 2: no tab in ''.*remove the line"),
        (b"a\tb\tc\na\tb\n", (1, 3), r"line 2: 2 columns, and column 3 is asked for in 'a\\tb'.*name other columns"),
        (b"a\tb\nc\t \n", (1, 2), r"line 2: the target is empty beside 'c' \(lines .*: 1\).*--skip-empty"),
        (b"\tb\nc\td\n\te\n", (1, 2), r"line 1: the source is empty beside 'b' \(lines .*: 2\).*correct or remove"),
        (b"a\tb\nc\tcaf\xe9\n", (1, 2), r"not UTF-8: byte 0xe9 at offset 9 in line 2 .*save it as UTF-8"),
        ("a\tb\n".encode("utf-16"), (1, 2), r"in line 1 .*UTF-16\?"),
        (b"", (1, 2), "pairs.tsv is empty"),
        (b"x" * 1000, (1, 2), r"no tab in 'x{70,80};"),
    ],
)
def test_lines_that_are_no_pairs(write, content, columns, match):
    with pytest.raises(DataError, match=match) as caught:
        read_pairs(write(content), columns)
    assert str(caught.value).startswith("read_pairs: ") and "pairs.tsv" in str(caught.value)


@pytest.mark.parametrize("columns", [(0, 1), (1, 1), (-1, 2), (2, 0)])
def test_columns_are_two_and_counted_from_one(write, columns):
    with pytest.raises(ValueError, match="counted from 1"):
        read_pairs(write("a\tb\n"), columns)


def test_empty_sides_are_left_out_where_asked_and_reported(write):
    read = read_pairs(write("a\tb\n\tc\nd\t\ne\tf\n"), skip_empty=True)
    assert read.pairs == [("a", "b"), ("e", "f")] and read.skipped == [2, 3]
    assert "2 pairs" in read.report and "left out for an empty side: 2, the first in line 2" in read.report
    with pytest.raises(DataError, match="all 1 lines have an empty side"):
        read_pairs(write("a\t\n"), skip_empty=True)


def test_read_aligned(write):
    source, target = write("a\nb c\n", "source"), write("d\r\ne", "target")
    assert read_aligned(source, target).pairs == [("a", "d"), ("b c", "e")]


@pytest.mark.parametrize(
    "source, target, match",
    [
        (b"a\nb\n", b"c\n", r"source has 2 lines and \S*target has 1: line 2 has no counterpart; take"),
        (b"a\n", b"b\n\n", "source has 1 lines .*target has 2"),
        (b"a\n\n", b"b\nc\n", r"source and \S*target: line 2: the source is empty beside 'c'.*--skip-empty"),
        (b"a\n", b"\xff\n", r"read_aligned: \S*target is not UTF-8: byte 0xff at offset 0 in line 1"),
    ],
)
def test_files_that_are_not_aligned(write, source, target, match):
    with pytest.raises(DataError, match=match):
        read_aligned(write(source, "source"), write(target, "target"))


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match="read_pairs: there is no file .*none.tsv"):
        read_pairs(tmp_path / "none.tsv")
    with pytest.raises(DataError, match="read_aligned: .* is a folder"):
        read_aligned(tmp_path, tmp_path)


@pytest.mark.skipif(not TATOEBA.exists(), reason="the shared data are not here")
def test_files_of_the_world():
    pairs = read_pairs(TATOEBA).pairs
    assert len(pairs) == 76_037 and pairs[0] == ("Go.", "Va !")
    with pytest.raises(DataError, match="the target is empty"):
        read_aligned(SHARED / "europarl.en", SHARED / "europarl.fr")
    europarl = read_aligned(SHARED / "europarl.en", SHARED / "europarl.fr", skip_empty=True)
    assert len(europarl.pairs) + len(europarl.skipped) == 3_000 and len(europarl.skipped) == 6


# ---------------------------------------------------------------------------------------- dividing


FEW = st.sampled_from("abcdefgh")  # so that many pairs share a text


@given(st.lists(st.tuples(FEW, FEW.map(str.upper))), st.floats(0, 1), st.integers(0, 3))
def test_split_divides_all_pairs_and_no_text(pairs, fraction, seed):
    train, validation = split_pairs(pairs, fraction, seed)
    assert sorted(train + validation) == sorted(pairs)
    for side in (0, 1):
        assert not {pair[side] for pair in train} & {pair[side] for pair in validation}
    assert len(validation) <= len(pairs) - round(len(pairs) * fraction)
    assert (train, validation) == split_pairs(pairs, fraction, seed)


@given(n=st.integers(0, 50), fraction=st.floats(0, 1))
def test_the_share_is_exact_where_no_text_is_there_twice(n, fraction):
    pairs = [(f"s{i}", f"t{i}") for i in range(n)]
    train, validation = split_pairs(pairs, fraction)
    assert len(train) == round(n * fraction)
    assert train == sorted(train, key=pairs.index) and validation == sorted(validation, key=pairs.index)


def test_a_text_may_be_a_source_here_and_a_target_there():
    """Catches groups that mix up the two sides: numbers are written alike in both languages."""
    assert len(split_pairs([("1", "2"), ("2", "3")], 0.5)[1]) == 1


def test_another_seed_divides_otherwise():
    pairs = [(f"s{i}", f"t{i}") for i in range(100)]
    assert split_pairs(pairs, seed=0) != split_pairs(pairs, seed=1)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_fractions_outside(fraction):
    with pytest.raises(ValueError, match="split_pairs: train_fraction is"):
        split_pairs([("a", "b")], fraction)


@pytest.mark.skipif(not TATOEBA.exists(), reason="the shared data are not here")
def test_split_of_tatoeba():
    train, validation = split_pairs(read_pairs(TATOEBA).pairs)
    assert (len(train), len(validation)) == (68_433, 7_604)
    assert not {source for source, _ in train} & {source for source, _ in validation}
