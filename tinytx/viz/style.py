"""One style for all pictures: a colour means the same in each of them.

Blue is for tinytx, for right results and for training; red is for wrong or worse results; amber is for validation;
black is for a reference from another source. Other series (several runs, groups of words) use `SERIES`, which contains
neither red nor amber. Numbers use the shades of `WEIGHTS` or `SCALE`, which a colour bar explains.
"""

import unicodedata
import warnings
from contextlib import contextmanager

from tinytx.extras import require
from tinytx.files import atomic_write
from tinytx.terminal import visible

OURS = RIGHT = TRAINING = "#3b76af"
WRONG, VALIDATION, REFERENCE = "#d1495b", "#c27c0e", "#222222"
NEUTRAL, TEXT, FAINT, GRID = "#7a7a7a", "#333333", "#bbbbbb", "#e6e6e6"
SERIES = (OURS, "#7a5bb5", "#3f8f3f", "#c2569b", "#2a9d8f", "#8c6d4f", "#6b7785", "#6fb3d9", "#8a8f2a", "#1f3f66")
WEIGHTS = ("#ffffff", "#8fb8de", "#1f3f66")  # shades from 0 to the largest
SCALE = ("#5b3a9b", "#3b6fb6", "#1f968b", "#6aa84f", "#d9a400")  # legible on dark and light backgrounds
TITLE, LABEL, SMALL = 12, 10, 8  # points: a picture's title, the names of panels and axes, numbers and notes
DPI = 150

_EAST_ASIA = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH"}
_NAMED = 12  # the largest number of characters that a message names
_PURPOSE = "drawing text"


class PictureWarning(UserWarning):
    """A picture was drawn, but a part of it cannot be read; the message says which part and what to do."""


# ---------------------------------------------------------------------------------------- texts


def drawable(text):
    r"""Return a text that can be drawn: control characters and lone surrogates are written as escapes.

    >>> print(drawable("a\x1b[1m $b$"))
    a\x1b[1m $b$
    """
    return "\n".join(line and visible(line) for line in text.split("\n"))


def columns(text):
    """Return the width of a text in columns of a fixed-width font: a combining accent has 0, a Chinese character 2.

    >>> columns("cafe\\u0301"), columns("猫"), columns("")
    (4, 2, 0)
    """
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def plain(*texts):
    """Return the options with which matplotlib draws a user's texts unchanged: a dollar sign does not start a formula.

    Characters that matplotlib's own font lacks are drawn in another installed font. If no font has them, boxes are
    drawn, and one `PictureWarning` names the characters and the font to install.

    Parameters
    ----------
    *texts : str or None
        All texts that are drawn with these options, as `drawable` returns them.

    Returns
    -------
    dict
        Options of matplotlib's ``Text``.
    """
    families, missing = [], {}
    for character in sorted(set().union(*filter(None, texts)) - {"\n"}):
        if not _has(None, character):
            family = font_for(character)
            if _has(family, character):
                families += [family] * (family not in families)
            else:
                missing.setdefault(family, []).append(character)
    if missing:
        characters = [c for several in missing.values() for c in several]
        named = ", ".join(f"{c} (U+{ord(c):04X})" for c in characters[:_NAMED])
        more = f" and {len(characters) - _NAMED} more" if len(characters) > _NAMED else ""
        install = " and ".join(f'"{family}"' for family in missing)
        message = f"no font has {named}{more}: boxes stand for them in the picture; install the font {install}"
        warnings.warn(PictureWarning(message), stacklevel=3)
    options = {"parse_math": False, "usetex": False}
    if families:
        options["fontfamily"] = [*require("matplotlib", "train", _PURPOSE).rcParams["font.family"], *families]
    return options


def font_for(character):
    """Return the name of a free font for a character's script.

    >>> [font_for(c) for c in "दは한ก😀"]
    ['Noto Sans Devanagari', 'Noto Sans CJK JP', 'Noto Sans CJK JP', 'Noto Sans Thai', 'Noto Emoji']
    """
    script = unicodedata.name(character, "").replace("-", " ").partition(" ")[0]
    if script in _EAST_ASIA:
        return "Noto Sans CJK JP"
    return f"Noto Sans {script.title()}" if script and unicodedata.category(character)[0] in "LMN" else "Noto Emoji"


def _has(family, character):
    """Return whether an installed font has a character; if ``family`` is None, matplotlib's own font."""
    fonts = require("matplotlib.font_manager", "train", _PURPOSE)
    if family is not None and family not in fonts.get_font_names():
        return False
    return bool(fonts.get_font(fonts.findfont(fonts.FontProperties(family))).get_char_index(ord(character)))


# ---------------------------------------------------------------------------------------- figures


def new_figure(purpose, width, height, **options):
    """Return a figure of a size in inches. It does not use pyplot, so no global state changes.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed; the message begins with the purpose.
    """
    return require("matplotlib.figure", "train", purpose).Figure(figsize=(width, height), **options)


@contextmanager
def quiet():
    """Suppress matplotlib's warning for each missing character: `plain` has already warned of all of them at once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def save(figure, path, dpi=DPI, **options):
    """Write a figure as a PNG, atomically."""
    with quiet(), atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=dpi, **options)


def write_title(axes, text, **options):
    """Write a title over axes, bold and at the left. If the text is a user's, ``options`` come from `plain`."""
    axes.set_title(text, loc="left", fontsize=TITLE, fontweight="bold", color=TEXT, **options)


def write_heading(figure, text, below=None):
    """Write the title of a figure with many panels, and a line of text below; the layout is ``constrained``."""
    lines = f"{text}\n" if below else text  # an empty line reserves the space
    title = figure.suptitle(lines, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=TEXT)
    if below:
        figure.draw_without_rendering()  # computes the title's position
        low = title.get_window_extent().y0 / figure.bbox.height
        figure.text(0.01, low, below, fontsize=LABEL, color=TEXT, va="bottom", in_layout=False)


def write_legend(axes, entries, *, options=None, **place):
    """Explain colours and marks, without a frame.

    Parameters
    ----------
    axes : matplotlib Axes
    entries : list of (str, artist)
        A name, which may begin with an underscore, and the artist that it explains.
    options : dict, optional
        From `plain`, if the names are a user's.
    **place
        Further arguments of ``Axes.legend``.
    """
    names, artists = zip(*entries, strict=True)
    options = options or {"parse_math": False}
    legend = axes.legend(artists, range(len(names)), frameon=False, labelcolor=TEXT, **place)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, **options)  # set here: matplotlib leaves out names like "_x"
    legend.get_title().set(color=TEXT, **options)


def tidy(axes):
    """Remove the frame, and draw a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=TEXT)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(TEXT)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def log_scale(axes):
    """Make the vertical axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    ticker = require("matplotlib.ticker", "train", _PURPOSE)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_minor_locator(ticker.NullLocator())
