"""The projector's files, read as the projector reads them; neighbours, beside a sort of all cosines."""

import numpy as np
import pytest

from tinytx.vectors.word_vectors import nearest, purity, visible, write_projector

ODD = ["été", "a\tb", "a\nb", "", " ", "   ", "\r", "\x85", "\u2028", "\\t", '"', "\ud800", "<i>", "\x00", "人", " a"]


def parsed(path):
    """Read a file as the projector does: lines end in a newline, blank ones are skipped, tabs part the columns."""
    text = path.read_bytes().decode()
    return [line.split("\t") for line in text.split("\n") if line.strip()]


def test_the_projector_reads_what_was_written(tmp_path):
    """Catches a tab that makes a second column, and a blank name, after which every word has its neighbour's vector."""
    vectors = np.random.default_rng(0).normal(size=(len(ODD), 5))
    values, names = write_projector(tmp_path / "new/folder", ODD, vectors)
    assert (values.name, names.name) == ("values.tsv", "names.tsv")
    np.testing.assert_array_equal(np.array(parsed(values), float), vectors)
    assert [name for [name] in parsed(names)] == [visible(word) for word in ODD]
    assert sorted(path.name for path in values.parent.iterdir()) == ["names.tsv", "values.tsv"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_digit_is_lost_and_none_is_made_up(tmp_path, dtype):
    vectors = (10.0 ** np.random.default_rng(0).uniform(-30, 30, (20, 3))).astype(dtype)
    values, _ = write_projector(tmp_path, ["w"] * 20, vectors)
    np.testing.assert_array_equal(np.array(parsed(values), dtype), vectors)
    assert len(str(np.float32(0.1))) == 3 and max(map(len, values.read_text().split())) < (
        16 if dtype == np.float32 else 24
    )


def test_decimals(tmp_path):
    values, _ = write_projector(tmp_path, ["a", "b"], [[1, -0.125], [2.5e-9, 1e3]], decimals=2)
    assert values.read_text() == "1.00\t-0.12\n0.00\t1000.00\n"


def test_visible():
    assert [visible(word) for word in ODD[:7]] == ["été", r"a\tb", r"a\nb", "''", r"\x20", r"\x20\x20\x20", r"\r"]
    assert [visible(word) for word in ODD[7:]] == [
        r"\x85", r"\u2028", r"\t", '"', r"\ud800", "<i>", r"\x00", "人", " a",
    ]  # fmt: skip


def test_wrong_vectors(tmp_path):
    for wrong in (np.zeros((2, 3)), np.zeros(3), np.zeros((3, 3, 3))):
        with pytest.raises(ValueError, match=r"write_projector: the array for 3 words has shape .*, expected \(3, D\)"):
            write_projector(tmp_path, ["a", "b", "c"], wrong)
    with pytest.raises(ValueError, match="row 1, that of 'b', has a NaN or an infinity"):
        write_projector(tmp_path, ["a", "b"], [[1, 2], [3, np.nan]])
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    write_projector(tmp_path, ["a"], [[1.0]])
    with pytest.raises(TypeError):
        write_projector(tmp_path, [None], [[1.0]])
    assert (tmp_path / "names.tsv").read_text() == "a\n" and len(list(tmp_path.iterdir())) == 2


# ---------------------------------------------------------------------------------------- nearest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearest_by_cosine(dtype):
    vectors = (np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 51)[:, None]).astype(dtype)
    words = [f"w{i}" for i in range(50)]
    cosines = vectors @ vectors[7] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[7])
    order = [i for i in np.argsort(-cosines) if i != 7]
    found = nearest(vectors, words, "w7", 12)
    assert [word for word, _ in found] == [words[i] for i in order[:12]]
    np.testing.assert_allclose([cosine for _, cosine in found], cosines[order[:12]], rtol=1e-5)
    assert len(nearest(vectors, words, "w7", 500)) == 49 and nearest(vectors, words, "w7", 0) == []


def test_a_vector_of_zeros_is_near_to_nothing():
    words = ["a", "zero", "opposite", "same"]
    vectors = np.array([[1.0, 0], [0, 0], [-2, 0], [3, 0]])
    assert nearest(vectors, words, "a") == [("same", 1.0), ("zero", 0.0), ("opposite", -1.0)]
    assert [cosine for _, cosine in nearest(vectors, words, "zero")] == [0, 0, 0]


def test_nearest_where_cosines_are_all_but_1():
    """Catches an order by cosines: all of these are 1.0 to the last digit."""
    angles = np.array([0, 3e-9, 1e-9, 2e-9])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert [word for word, _ in nearest(vectors, list("abcd"), "a")] == ["c", "d", "b"]


def test_wrong_numbers(tmp_path):
    with pytest.raises(TypeError, match="nearest: n is 2.5"):
        nearest(np.eye(3), list("abc"), "a", 2.5)
    with pytest.raises(ValueError, match="write_projector: decimals is -1"):
        write_projector(tmp_path, ["a"], [[1.0]], decimals=-1)
    with pytest.raises(TypeError, match="write_projector: the array has dtype <U1, expected numbers"):
        write_projector(tmp_path, ["a"], [["b"]])


def test_an_unknown_word():
    words = ["parlement", "Commission", "parlements", "le", "Parlement"]
    vectors = np.eye(5)
    with pytest.raises(
        ValueError, match=r"nearest: 'parlment' is not among the 5 words; spelled like it: 'parlement', 'parl"
    ):
        nearest(vectors, words, "parlment")
    with pytest.raises(ValueError, match="spelled like it: 'Commission'"):
        nearest(vectors, words, "commission")
    with pytest.raises(ValueError, match="'xyzzy' is not among the 5 words; no word is spelled like it"):
        nearest(vectors, words, "xyzzy")


def test_purity_counts_neighbours_of_the_group():
    group = [f"g{i}" for i in range(6)]
    words = [*group, *"abcdef"]
    vectors = np.eye(2)[[0] * 6 + [1] * 6] + 0.01 * np.random.default_rng(0).normal(size=(12, 2))
    assert purity(vectors, words, group) == 1
    assert purity(vectors[::2], words[::2], group) is None  # three of the group are known
    assert purity(np.roll(vectors, 3, axis=0), words, group) == pytest.approx(0.4)  # of each, the 2 others of its three
