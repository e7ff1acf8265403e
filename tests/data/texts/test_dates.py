import re
from datetime import date, timedelta

import pytest

from tinytx.data import date_fields, date_pairs, split_pairs
from tinytx.data.texts import dates
from tinytx.data.texts.dates import FIRST, FORMS, LAST, MONTHS, WEEKDAYS, ordinal, written

DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
PAIRS = date_pairs()


def test_no_source_has_two_targets():
    """All days in all forms: two-digit years, and the orders of day and month, are unambiguous."""
    days = {}
    for day in DAYS:
        for form in FORMS:
            assert days.setdefault(written(day, form), day) == day, (day, form)
    assert len(days) > 900_000


@pytest.mark.parametrize("form", FORMS)
def test_a_form_can_be_read_back(form):
    """An independent reader, by regular expressions, finds the same day in what was written."""
    groups = {
        "y": r"(?P<y>\d{4})", "yy": r"(?P<yy>\d\d)",
        "month": r"(?P<month>[a-z]+)", "mon": r"(?P<mon>[a-z]{3})", "m": r"(?P<m>\d{1,2})", "mm": r"(?P<mm>\d\d)",
        "d": r"(?P<d>\d{1,2})", "dd": r"(?P<dd>\d\d)", "nth": r"(?P<d>\d{1,2})(?:st|nd|rd|th)",
        "weekday": r"(?P<weekday>[a-z]+day)", "day": r"(?P<weekday>[a-z]{3})",
    }  # fmt: skip
    reader = re.compile(re.escape(form).replace(r"\{", "{").replace(r"\}", "}").format(**groups))
    for day in DAYS[::97]:
        found = reader.fullmatch(written(day, form)).groupdict()
        short = int(found.get("yy", 0))
        year = int(found.get("y", 1900 + short if short >= 69 else 2000 + short))
        name = found.get("month") or found.get("mon")
        names = [month[: len(name)] for month in MONTHS] if name else []
        month = names.index(name) + 1 if name else int(found.get("m") or found["mm"])
        assert date(year, month, int(found.get("d") or found["dd"])) == day
        assert day.strftime("%A").lower().startswith(found.get("weekday", ""))  # tests run in the C locale's English


@pytest.mark.parametrize("form", FORMS)
def test_fields_hold_what_they_are_named_after(form):
    """Catches a part under another's name, a span that is off by one, and an ordinal's ending that counts as digits."""
    for day in DAYS[::97]:
        source = written(day, form)
        text = {name: source[at] for name, at in date_fields(source, day.isoformat()).items()}
        assert text["year"] in (str(day.year), f"{day.year % 100:02d}")
        assert text["day"] in (str(day.day), f"{day.day:02d}")
        month = MONTHS[day.month - 1]
        assert text["month"] in (month, month[:3], str(day.month), f"{day.month:02d}")
        assert ("weekday" in text) == ("day}" in form)
        assert WEEKDAYS[day.weekday()].startswith(text.get("weekday", ""))


def test_fields_of_one_date():
    fields = date_fields("tuesday, the 27th of september 1994", "1994-09-27")
    places = {"weekday": slice(0, 7), "day": slice(13, 15), "month": slice(21, 30), "year": slice(31, 35)}
    assert fields == places
    with pytest.raises(ValueError, match="date_fields: 'september 27' is not 1994-09-27 in one of the 25 forms"):
        date_fields("september 27", "1994-09-27")


def test_forms_cover_what_was_promised():
    assert len(set(FORMS)) == len(FORMS) >= 12
    for part in ("{weekday}", "{nth}", "{mon}", "{yy}"):
        assert any(part in form for form in FORMS)
    assert written(date(1994, 9, 27), "{month} {d}, {y}") == "september 27, 1994" and "{month} {d}, {y}" in FORMS


def test_slashes_put_the_month_first_and_dots_the_day():
    day = date(2003, 2, 1)
    assert {written(day, form) for form in FORMS if form.count("/") == 2} == {"2/1/2003", "02/01/03", "2003/02/01"}
    assert {written(day, form) for form in FORMS if form.count(".") == 2} == {"1.2.2003", "01.02.03"}


def test_names():
    assert [date(2024, m, 1).strftime("%B").lower() for m in range(1, 13)] == list(MONTHS)
    assert [date(2024, 1, d).strftime("%A").lower() for d in range(1, 8)] == list(WEEKDAYS)
    ordinals = "1st 2nd 3rd 4th 10th 11th 12th 13th 14th 20th 21st 22nd 23rd 24th 30th 31st".split()
    assert [ordinal(int(name[:-2])) for name in ordinals] == ordinals


def test_the_corpus_is_the_same_for_a_seed_and_another_for_another():
    assert date_pairs() == PAIRS
    assert date_pairs(100) == PAIRS[:100]
    assert date_pairs(100, seed=1) != PAIRS[:100]


def test_fifty_thousand_different_pairs_of_text():
    assert len(PAIRS) == len(dict(PAIRS)) == 50_000
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", target) and source == source.lower() for source, target in PAIRS)
    assert len({target for _, target in PAIRS}) > 25_000  # of 36,525 days


def test_every_form_is_drawn_about_as_often():
    by_form = {form: {written(day, form) for day in DAYS} for form in FORMS[:3]}
    for sources in by_form.values():
        assert abs(sum(source in sources for source, _ in PAIRS) / (len(PAIRS) / len(FORMS)) - 1) < 0.1


def test_held_out_dates_are_seen_in_no_form():
    train, validation = split_pairs(PAIRS)
    assert len(validation) == 5_000
    assert not {source for source, _ in train} & {source for source, _ in validation}
    assert not {target for _, target in train} & {target for _, target in validation}


def test_none_all_and_too_many(monkeypatch):
    assert date_pairs(0) == []
    with pytest.raises(ValueError, match="n is -1, expected a whole number of at least 0"):
        date_pairs(-1)
    monkeypatch.setattr(dates, "LAST", FIRST + timedelta(days=2))
    sources = {written(day, form) for day in DAYS[:3] for form in FORMS}
    assert {source for source, _ in date_pairs(len(sources))} == sources
    with pytest.raises(ValueError, match=f"n is {len(sources) + 1}, expected at most {len(sources)}, the number"):
        date_pairs(len(sources) + 1)
