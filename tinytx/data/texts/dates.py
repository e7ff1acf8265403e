"""Dates as people write them, and in ISO 8601: a translation task with exact answers, learned in minutes.

``september 27, 1994`` becomes ``1994-09-27``. The target's parts have the order year, month, day; the source's have any
order. So a model has to look the parts up, and its cross-attention shows where. The generated corpus needs no download.

Everything is lower case. Dates are from 1969 to 2068, so two digits determine a year (POSIX: 69 is 1969, 68 is 2068).
With slashes the month comes first, as in America; with dots and dashes the day, as in Europe. So no source has two
targets: a test checks all 900,000 sources.
"""

from datetime import date, timedelta
from string import Formatter

import numpy as np

from tinytx.arguments import check_whole

FIRST, LAST = date(1969, 1, 1), date(2068, 12, 31)
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# y year, yy its last two digits; month, mon, m, mm: september, sep, 9, 09; d, dd, nth: day 7, 07, 7th;
# weekday, day: tuesday, tue
FORMS = (
    "{month} {d}, {y}",
    "{month} {nth}, {y}",
    "{month} {d} {y}",
    "{mon} {d}, {y}",
    "{mon}. {nth}, {y}",
    "{mon} {d} '{yy}",
    "{d} {month} {y}",
    "{d}. {month} {y}",
    "{nth} {month} {y}",
    "{nth} of {month}, {y}",
    "the {nth} of {month} {y}",
    "{d} {mon} {y}",
    "{d} {mon} {yy}",
    "{dd}-{mon}-{y}",
    "{weekday}, {month} {d}, {y}",
    "{weekday}, the {nth} of {month} {y}",
    "{weekday} {d} {month} {y}",
    "{day}, {d} {mon} {y}",
    "{day} {mon} {nth} {y}",
    "{m}/{d}/{y}",
    "{mm}/{dd}/{yy}",
    "{d}.{m}.{y}",
    "{dd}.{mm}.{yy}",
    "{y}/{mm}/{dd}",
    "{y} {month} {d}",
)
PARTS = {"y": "year", "month": "month", "mon": "month", "m": "month", "d": "day", "dd": "day", "nth": "day"}
PARTS |= {"yy": "year", "mm": "month", "weekday": "weekday", "day": "weekday"}


def written(day, form):
    """Return a date in one of the written forms.

    Parameters
    ----------
    day : datetime.date
    form : str
        One of ``FORMS``, or another with the same names.

    Examples
    --------
    >>> written(date(1994, 9, 27), "{weekday}, the {nth} of {month} {y}")
    'tuesday, the 27th of september 1994'
    """
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    return form.format(
        y=day.year, yy=f"{day.year % 100:02d}",
        month=month, mon=month[:3], m=day.month, mm=f"{day.month:02d}",
        d=day.day, dd=f"{day.day:02d}", nth=ordinal(day.day),
        weekday=weekday, day=weekday[:3],
    )  # fmt: skip


def ordinal(n):
    """Return 1st, 2nd, 3rd, 4th, ..., 11th, 12th, 13th, ..., 21st, ..."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def date_fields(source, target):
    """Return the positions of year, month and day in a written date: an alignment should point at them.

    Parameters
    ----------
    source, target : str
        A pair of `date_pairs`.

    Returns
    -------
    dict of str to slice
        ``year``, ``month``, ``day``, and ``weekday`` if there is one. Of ``27th`` only the digits.

    Raises
    ------
    ValueError
        If the source is not the target's date in one of the forms.

    Examples
    --------
    >>> date_fields("september 27th, 1994", "1994-09-27")
    {'month': slice(0, 9, None), 'day': slice(10, 12, None), 'year': slice(16, 20, None)}
    """
    day = date.fromisoformat(target)
    form = next((form for form in FORMS if written(day, form) == source), None)
    if form is None:
        raise ValueError(f"date_fields: {source!r} is not {target} in one of the {len(FORMS)} forms")
    fields, position = {}, 0
    for between, name, _, _ in Formatter().parse(form):
        position += len(between)
        if name is not None:
            start, position = position, position + len(written(day, f"{{{name}}}"))
            fields[PARTS[name]] = slice(start, start + len(str(day.day)) if name == "nth" else position)
    return fields


def date_pairs(n=50_000, seed=0):
    """Return n distinct pairs of a written date and the same date in ISO 8601.

    They are drawn uniformly from all days and forms. `split_pairs` puts all forms of a day into the same part, so a
    model is validated on dates that it has seen in no form.

    Parameters
    ----------
    n : int
    seed : int, not negative
        The same seed gives the same pairs; a smaller n gives the first n of them.

    Returns
    -------
    pairs : list of (source, target)

    Raises
    ------
    ValueError
        If n is negative, or larger than the number of different sources.

    Examples
    --------
    >>> date_pairs(2)
    [('oct 12, 2049', '2049-10-12'), ('10. september 1999', '1999-09-10')]
    """
    n = check_whole("date_pairs", "n", n, least=0)
    targets = {}  # source to target, in the order drawn; two forms of a day can give the same source
    n_days = (LAST - FIRST).days + 1
    for draw in np.random.default_rng(seed).permutation(n_days * len(FORMS)).tolist():
        if len(targets) == n:
            break
        days, form = divmod(draw, len(FORMS))
        day = FIRST + timedelta(days=days)
        targets[written(day, FORMS[form])] = day.isoformat()
    if len(targets) < n:
        raise ValueError(f"date_pairs: n is {n}, expected at most {len(targets)}, the number of different sources")
    return list(targets.items())
