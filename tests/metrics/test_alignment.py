"""Alignment error rate, by hand; and the traps: references that count from 1, possible links, links of the stop."""

import numpy as np
import pytest

from tinytx.metrics import alignment_error_rate, read_links


def test_by_hand():
    """A has 4 links in two sentences; 2 are sure, 1 more is possible; S has 3: 1 - (2 + 3) / (4 + 3)."""
    found = [{(0, 0), (1, 1), (2, 1)}, {(0, 3)}]
    sure = [{(0, 0), (1, 1)}, {(0, 0)}]
    possible = [{(2, 1)}, set()]
    assert np.isclose(alignment_error_rate(found, sure, possible), 1 - 5 / 7)
    assert np.isclose(alignment_error_rate(found, sure), 1 - 4 / 7)  # and 1 - 2 |A and S| / (|A| + |S|)


def test_its_ends():
    links = [{(0, 0), (1, 2)}]
    assert alignment_error_rate(links, links) == 0
    assert alignment_error_rate(links, [{(0, 1)}]) == 1
    assert alignment_error_rate([set()], links) == 1
    assert alignment_error_rate([set()], [set()]) == 0
    assert alignment_error_rate(links, [set()], links) == 0  # all are possible, none is sure


def test_sentences_do_not_weigh_alike():
    """A mean over sentences would be 0.5."""
    many = {(i, i) for i in range(9)}
    assert np.isclose(alignment_error_rate([many, {(0, 0)}], [many, {(0, 1)}]), 0.1)


def test_references_that_count_from_1():
    """The same file read with another first word: no link is right."""
    line = "1-1 2-2 3-3"
    found = [{(0, 0), (1, 1), (2, 2)}]
    assert alignment_error_rate(found, [read_links(line, first=1)[0]]) == 0
    assert alignment_error_rate([{(0, 0)}], [read_links(line)[0]]) == 1
    with pytest.raises(ValueError, match="0-1 comes before the first word, which is called 1: give first=0"):
        read_links("0-1 2-2", first=1)


def test_a_link_of_the_stop_counts_as_found():
    """Nine links for eight words: so `align` leaves the stop out."""
    sure = [{(i, i) for i in range(8)}]
    assert np.isclose(alignment_error_rate([sure[0] | {(7, 8)}], sure), 1 - 16 / 17)


def test_lines():
    assert read_links("") == (set(), set())
    assert read_links("0-2  3p1 4?0") == ({(0, 2)}, {(0, 2), (3, 1), (4, 0)})
    for wrong in ("0", "0-", "a-b", "0-1-2", "-1-0"):
        with pytest.raises(ValueError, match="read_links: .* is no link: write source-target"):
            read_links(wrong)


def test_lists_of_other_lengths():
    with pytest.raises(ValueError, match="2 sentences in found, 1 in sure, 1 in possible, expected as many"):
        alignment_error_rate([set(), set()], [set()])
