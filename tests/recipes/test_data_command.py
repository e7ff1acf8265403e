"""``python -m tinytx data``: a recipe's file is fetched when asked, checked, and nothing is left behind otherwise.

Every address is on a server of this process, on the loopback address.
"""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tinytx.recipes import RECIPES, load_recipe

README = Path(__file__).parents[2] / "README.md"

TEXT = b"To be, or not to be.\n" * 5000  # more than one chunk
RECIPE = """
from dataclasses import replace
import letters
from tinytx.recipes import DataFile
RECIPE = replace(letters.RECIPE, data={{"data": DataFile("tale.txt", "{}", "CC0", {}, "{}"{})}})
"""


def packed(name):
    """Return a .tgz with a file before the one of that name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for member, content in (("other.txt", b"x" * 9), (name, TEXT)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


PAGES = {"/tale.txt": TEXT, "/tale.tgz": packed("inside.txt"), "/torn.tgz": packed("inside.txt")[:60]}


class Handler(BaseHTTPRequestHandler):
    """Sends ``PAGES``; the length of /endless is a lie, and /unknown says none."""

    def do_GET(self):
        content = PAGES.get(self.path.replace("/endless", "/tale.txt").replace("/unknown", "/tale.txt"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unknown":
            self.send_header("Content-Length", str(len(content) + 10**6 * (self.path == "/endless")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def server():
    """Its address, "http://127.0.0.1:PORT"."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def fetched(tinytx, letters, server, monkeypatch):
    """Call the command for a recipe whose file is at an address, and return what it returned and printed."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def fetch(page, *flags, content=TEXT, size=None, more="", name="data tale.py"):
        size = len(content) if size is None else size
        checksum = hashlib.sha256(content[:size]).hexdigest()
        address = page if "://" in page else server + page
        (letters / "tale.py").write_text(RECIPE.format(address, size, checksum, more))
        return tinytx(name, *flags)

    return fetch


@pytest.mark.parametrize(
    "page, options",
    [
        ("/tale.txt", {}),
        ("/unknown", {}),
        ("/tale.tgz", {"more": ", member='inside.txt'"}),
        ("/tale.txt", {"size": 100_000, "more": ", longer=True"}),
        ("/tale.txt", {"size": 100, "more": ", longer=True"}),
    ],
)
def test_a_file_is_fetched_and_found_again(fetched, letters, page, options):
    """Catches bytes that get lost, a second download, and advice that does not work."""
    result = fetched(page, **options)
    assert result.code == 0, result.err
    assert (letters / "data/tale.txt").read_bytes() == TEXT
    assert "Fetching http://127.0.0.1:" in result.out and "(licence: CC0)" in result.out
    assert "Wrote data/tale.txt: its checksum is right" in result.out
    assert "Try next: python -m tinytx train tale.py --data data/tale.txt" in result.out
    again = fetched("http://127.0.0.1:9/nowhere", **options)
    assert again.code == 0 and "data/tale.txt is there, and its checksum is right" in again.out
    assert "Fetching" not in again.out and [path.name for path in (letters / "data").iterdir()] == ["tale.txt"]


@pytest.mark.parametrize(
    "page, options, named",
    [
        ("/missing", {}, "the server answers 404 Not Found; nothing was written; try again, or get the file by other"),
        ("http://127.0.0.1:9/tale.txt", {}, "it cannot be reached: "),
        ("/tale.txt", {"content": b"T" + TEXT[1:-1] + b"?"}, "it is another file: its SHA-256 is "),
        ("/tale.txt", {"content": TEXT + b"!"}, "it is another file: it has 105,000 bytes, expected 105,001"),
        ("/tale.txt", {"size": 100}, "it has 105,000 bytes, expected 100"),
        ("/tale.txt", {"content": TEXT * 2, "more": ", longer=True"}, "105,000 bytes, expected at least 210,000"),
        ("/tale.tgz", {"more": ", member='absent.txt'"}, "it is another file: the archive holds no absent.txt"),
        ("/torn.tgz", {"more": ", member='inside.txt'"}, "the download broke off: "),
        ("/tale.txt", {"more": ", member='inside.txt'"}, "the download broke off: "),
        ("/missing", {"more": ", by_hand=True"}, "there is no data/tale.txt (licence: CC0): get it from http://127.0"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing_behind(fetched, letters, page, options, named):
    """Catches a torn or wrong file that a run would read, a folder that nobody asked for, and a traceback."""
    result = fetched(page, **options)
    assert result.code == 2 and named in result.err.splitlines()[-1]
    assert not (letters / "data").exists()


def test_a_download_that_breaks_off(fetched, letters):
    """Catches a file whose end is missing; another file in the folder stays."""
    (letters / "data").mkdir()
    (letters / "data/mine.txt").write_text("mine")
    result = fetched("/endless", content=TEXT + b"?" * 10**6)
    assert result.code == 2 and "nothing was written" in result.err
    assert [path.name for path in (letters / "data").iterdir()] == ["mine.txt"]


def test_a_file_of_ones_own_is_left_alone(fetched, letters):
    """Catches a download that replaces what a user has written."""
    (letters / "tale.txt").write_text("mine")
    result = fetched("/tale.txt", "--out .")
    assert result.code == 2 and "tale.txt is another file than the recipe's: it has 4 bytes" in result.err
    assert (letters / "tale.txt").read_text() == "mine"


def test_a_folder_that_is_named(fetched, letters):
    assert fetched("/tale.txt", "--out my/texts").code == 0 and (letters / "my/texts/tale.txt").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_where_its_data_is(name):
    """Catches an entry that could not be fetched or checked."""
    for file in load_recipe(name).data.values():
        assert file.address.startswith("https://") and file.licence and len(bytes.fromhex(file.checksum)) == 32
        assert "/" not in file.name and file.size > 0
        (row,) = [row for row in README.read_text(encoding="utf-8").splitlines() if row.startswith(f"| `{file.name}` |")]
        assert file.address.partition(",")[0] in row and row.endswith(f"| {file.licence} |")


def test_a_recipe_without_files(tinytx):
    assert tinytx("data transformer").out == "transformer needs no file: it learns from generated dates\n"
