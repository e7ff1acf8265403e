"""What all pages of HTML share: their head with its colours, and the ways to put texts and numbers into them safely."""

import base64
import html
import json
import zlib
from importlib import resources

from tinytx.files import atomic_write
from tinytx.terminal import harmless


def page_of(template, title, data, **texts):
    """Return a page.

    Parameters
    ----------
    template : str
        With ``{{HEAD}}`` for what is in head.html, ``{{TITLE}}``, ``{{DATA}}`` and the names of ``texts``.
    title : str
    data
        What its script reads, as JSON.
    **texts : str
        As HTML.
    """
    parts = {"TITLE": html.escape(harmless(title)), "DATA": as_script(data)} | texts
    return fill(template, parts | {"HEAD": fill(_file("head.html"), parts)})


def _file(name):
    return resources.files("tinytx.viz").joinpath(name).read_text(encoding="utf-8")


def write_html(path, name, title, data, *, note="", **texts):
    """Write the page with the template ``name`` of this folder, atomically; for what is in it see `page_of`.

    Where the template has ``{{SHARED}}`` its script begins with that of shared.js.
    """
    page = page_of(_file(name), title, data, NOTE=html.escape(harmless(note)), SHARED=_file("shared.js"), **texts)
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def as_script(data):
    r"""Return data as JSON that is safe inside ``<script>``: no text in it can begin or end an HTML element.

    >>> as_script(["</script>"])
    '["\\u003c/script\\u003e"]'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def fill(template, parts):
    """Return the template with each ``{{NAME}}`` replaced once; braces inside the values are not replaced.

    >>> fill("{{A}} {{B}}", {"A": "{{B}}", "B": "b"})
    '{{B}} b'
    """
    before, *rest = template.split("{{")
    filled = [before]
    for part in rest:
        name, _, after = part.partition("}}")
        filled += parts[name], after
    return "".join(filled)


def blob(data, blobs):
    """Append compressed bytes as text to a list, and return the id of its element."""
    blobs.append(base64.b64encode(zlib.compress(data, 6)).decode("ascii"))
    return f"b{len(blobs) - 1}"


def elements(blobs):
    """Return the elements of a page that hold what `blob` packed."""
    return "\n".join(f'<script type="text/plain" id="b{i}">{text}</script>' for i, text in enumerate(blobs))
