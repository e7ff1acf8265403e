"""Dates as people write them, and as ISO 8601 has them: a translation task with a right answer, learned in minutes.

``september 27, 1994`` becomes ``1994-09-27``. The target's digits stand in the order year, month, day, the source's in
any: a model has to look them up, and its cross-attention shows where it looked. The generated corpus needs no download.

Everything is lower case. Dates run through the hundred years 1969 to 2068, which two digits tell apart (the window of
POSIX, 69 being 1969 and 68 being 2068), so that short years are unambiguous; slashes put the month first, as in
America, and dots and dashes the day, as in Europe. No source has two targets: a test reads all 900,000 of them.
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
    """Return where in a written date its parts stand: what an alignment of its digits is judged by.

    Parameters
    ----------
    source, target : str
        A pair of `date_pairs`.

    Returns
    -------
    dict of str to slice
        ``year``, ``month``, ``day``, and ``weekday`` where there is one. Of ``27th`` the digits.

    Raises
    ------
    ValueError
        If the source is the target's date in none of the forms.

    Examples
    --------
    >>> date_fields("september 27th, 1994", "1994-09-27")
    {'month': slice(0, 9, None), 'day': slice(10, 12, None), 'year': slice(16, 20, None)}
    """
    day = date.fromisoformat(target)
    form = next((form for form in FORMS if written(day, form) == source), None)
    if form is None:
        raise ValueError(f"date_fields: {source!r} is {target} in none of the {len(FORMS)} forms")
    fields, position = {}, 0
    for between, name, _, _ in Formatter().parse(form):
        position += len(between)
        if name is not None:
            start, position = position, position + len(written(day, f"{{{name}}}"))
            fields[PARTS[name]] = slice(start, start + len(str(day.day)) if name == "nth" else position)
    return fields


def date_pairs(n=50_000, seed=0):
    """Return n pairs of a written date and the same in ISO 8601, no two of them alike.

    They are drawn evenly from all days and all forms. `split_pairs` then keeps a day in one part in all its forms, so
    that a model is judged on dates that it has seen in no form.

    Parameters
    ----------
    n : int
    seed : int, not negative
        The same seed gives the same pairs; a smaller n gives the first of them.

    Returns
    -------
    pairs : list of (source, target)

    Raises
    ------
    ValueError
        If n is negative, or more than there are different sources.

    Examples
    --------
    >>> date_pairs(2)
    [('oct 12, 2049', '2049-10-12'), ('10. september 1999', '1999-09-10')]
    """
    n = check_whole("date_pairs", "n", n, least=0)
    targets = {}  # source to target, in the order drawn; a day gives one source in two forms now and then
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
