"""Standard streams as commands find them: of another encoding, closed, full, or with a reader that goes away."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinytx as package
from tinytx import progress
from tinytx.cli import main
from tinytx.files import load_arrays, read_json_lines, save_arrays
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME

posix = pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX closes the streams")


@pytest.fixture
def cp1252(monkeypatch):
    """Run a command with the standard output of Windows: return (exit code, what was written)."""

    def call(*words):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        monkeypatch.setattr(sys, "stdout", stdout)
        code = main([str(word) for part in words for word in (part.split() if isinstance(part, str) else [part])])
        stdout.flush()
        return code, stdout.buffer.getvalue().decode("cp1252")

    return call


def shell(line, before=""):
    """Run ``python -m tinytx`` with the rest of a line of the shell: (exit code, output, messages)."""
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    line = f"{before}'{sys.executable}' -m tinytx {line}"
    done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


# ---------------------------------------------------------------------------------------- an encoding


def test_a_run_ends_well_where_its_sample_cannot_be_said(cp1252, tiny, tmp_path):
    """Catches a finished run that ends as an error, without picture and advice, for want of a character."""
    text, folder = tmp_path / "日本.txt", tmp_path / "走"
    text.write_text("吾輩は猫である。名前はまだ無い。\n" * 50, encoding="utf-8")
    code, out = cp1252("train --data", text, tiny, "--steps 3 --out", folder)
    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == [NAME, "loss.png", "metrics.jsonl", "report.txt"]
    assert "--- a sample ---" in out and "\\u" in out.partition("--- a sample ---")[2]
    assert "Wrote" in out and "Try next" in out

    code, out = cp1252("sample", folder, "--tokens 5 --prompt 吾")
    assert code == 0 and out.startswith("\\u543e")


def test_a_translation_that_cannot_be_said(cp1252, tiny_transformer, tmp_path, no_pictures):
    """Catches the same in translate, whose output is for a file."""
    pairs = tmp_path / "pairs.tsv"
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs.write_text("".join(f"{a} {b}\t猫{a} 犬{b}\n" for a in letters for b in letters), encoding="utf-8")
    assert cp1252("train transformer --pairs", pairs, tiny_transformer, "--steps 30 --out", tmp_path / "run")[0] == 0
    code, out = cp1252("translate", tmp_path / "run", ["a k"])
    assert code == 0
    assert out.isascii()


# ---------------------------------------------------------------------------------------- closed, or full


@posix
@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>/dev/full"])
def test_training_needs_no_stream(tiny, book, tmp_path, streams):
    """Catches a run that dies, or is not saved, because nobody listens."""
    if "full" in streams and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    code, out, err = shell(f"train --data {book} {tiny} --steps 3 --eval-every 2 --out {tmp_path / 'run'} {streams}")
    assert (code, err) == (0, "")
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 3
    assert (tmp_path / "run" / "loss.png").exists()
    assert ("Try next" in out) == ("full" in streams)


@pytest.mark.parametrize("stream", ["stdout", "stderr", "stdin"])
@pytest.mark.parametrize(
    "command",
    ["train --data {book} {tiny} --steps 3 --out {new}", "sample {gpt} --tokens 3", "fill {bert} <mask>", "plot {gpt}"]
    + ["translate {transformer} one", "explain {gpt} 12", "embeddings {bert} --out {new}", "gradcheck tinytx.ops:relu --shapes 2,3"],
)
def test_commands_without_a_stream(request, tiny, book, tmp_path, monkeypatch, no_pictures, stream, command):
    """Catches an AttributeError or TypeError of None, which Python has in place of a closed stream."""
    runs = {"gpt": "finished", "bert": "filler", "transformer": "translator"}
    folders = {kind: request.getfixturevalue(name)[0] for kind, name in runs.items() if f"{{{kind}}}" in command}
    words = command.format(book=book, tiny=tiny, new=tmp_path / "new", **folders).split()
    monkeypatch.setattr(sys, stream, None)
    assert main(words) == (2 if words[0] == "plot" else 0)  # there is no matplotlib


@pytest.mark.parametrize("command", ["fill {bert} -", "translate {transformer} -"])
def test_standard_input_that_is_closed(tinytx, filler, translator, monkeypatch, command):
    """Catches a TypeError of None."""
    monkeypatch.setattr(sys, "stdin", None)
    code, out, err = tinytx(command.format(bert=filler[0], transformer=translator[0]))
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "standard input is closed" in err


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_an_output_that_is_full_is_an_error(finished):
    """Catches exit code 0 for a text that was lost, and a traceback out of the interpreter's last flush."""
    code, _, err = shell(f"sample {finished[0]} --tokens 3 >/dev/full")
    assert code == 2
    assert err == "tinytx: [Errno 28] No space left on device: 'standard output'\n"


# ---------------------------------------------------------------------------------------- a reader that goes away


def last_steps(folder):
    """Return the step of a run's checkpoint, and that of its last record."""
    return load_checkpoint(folder)[2]["step"], read_json_lines(folder / "metrics.jsonl")[-1]["step"]


@posix
def test_a_run_whose_reader_goes_away_is_saved(tiny, book, tmp_path):
    """Catches steps that are lost, a traceback, and a run that goes on for nobody."""
    flags = f"train --data {book} {tiny} --steps 100000 --eval-every 9 --log-every 1 --out {tmp_path / 'run'}"
    done = shell(f"{flags} 2>&1; echo $? >{tmp_path / 'code'}) | head -n 6; true", before="(")
    assert "step     9: " in done[1] and "Traceback" not in done[1] + done[2]
    assert (tmp_path / "code").read_text() == "141\n"
    step, logged = last_steps(tmp_path / "run")
    assert 9 < step == logged < 100_000
    assert (tmp_path / "run" / "loss.png").exists()


class Gone(io.StringIO):
    """A stream whose reader goes away after so many flushes."""

    def __init__(self, flushes):
        super().__init__()
        self.left = flushes

    def flush(self):
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("stream, flushes", [("stdout", 2), ("stdout", 4), ("stderr", 1)])
def test_no_step_is_lost_whichever_stream_goes_away(tiny, book, tmp_path, monkeypatch, stream, flushes):
    """Catches a step that is taken and not saved, or saved and not logged."""
    monkeypatch.setattr(progress.Lines, "every", 0.0)
    monkeypatch.setattr(sys, stream, Gone(flushes))
    flags = f"train --data {book} {tiny} --steps 100 --eval-every 10 --log-every 1 --out {tmp_path / 'run'}"
    assert main(flags.split()) == 141
    step, logged = last_steps(tmp_path / "run")
    assert 1 <= step == logged < 100


def test_a_finished_run_is_a_success_whoever_listens(tiny, book, tmp_path, monkeypatch):
    """Catches an error for a run that is done, all written, because its last words are heard by nobody."""
    monkeypatch.setattr(sys, "stdout", Gone(1))
    assert main(f"train --data {book} {tiny} --steps 3 --out {tmp_path / 'run'}".split()) == 0
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [NAME, "loss.png", "metrics.jsonl", "report.txt"]


# ---------------------------------------------------------------------------------------- what a file says


OWNED = "\x1b]0;owned\x07\x9b2J\n"


def changed(folder, target, change):
    """Copy a run's checkpoint, changed; return the new folder."""
    arrays, meta = load_arrays(folder / NAME)
    target.mkdir()
    save_arrays(target / NAME, arrays, meta | change(meta))
    return target


def test_notes_of_a_file_are_lines_that_command_nothing(tinytx, finished, tmp_path, no_pictures):
    """Catches a title of the terminal set by a checkpoint, and a forged line."""
    folder = changed(finished[0], tmp_path / "run", lambda meta: {"fingerprint": {"python": f"{OWNED}Note: forged"}})
    code, out, err = tinytx("train --resume", folder, "--steps 21")
    assert code == 0
    assert set(out + err) & set("\x1b\x07\x9b") == set()
    assert r"\x1b]0;owned\x07\x9b2J Note: forged" in err


@pytest.mark.parametrize(
    "change",
    [lambda meta: {"config": meta["config"] | {OWNED: 1}}, lambda meta: {"model": OWNED}, lambda meta: {"format": OWNED * 9999}]
    + [lambda meta: {"config": meta["config"] | {"n_heads": "x" * 10**6}}],
)
def test_errors_of_a_file_are_short_lines_that_command_nothing(tinytx, finished, tmp_path, change):
    """Catches the same in errors, and one that fills the screen for minutes."""
    code, out, err = tinytx("sample", changed(finished[0], tmp_path / "run", change))
    (line,) = err.split("\n")[:-1]
    assert (code, out) == (2, "")
    assert line.startswith("tinytx: ") and len(line) <= 1000 and line.isprintable()


def test_a_text_that_is_written_commands_nothing(tinytx, finished, filler, translator, tmp_path):
    """Catches control characters that a model has learned, or that its vocabulary was given."""
    gpt = changed(finished[0], tmp_path / "gpt", lambda meta: {"tokenizer": _swapped(meta["tokenizer"], "characters")})
    assert "\x1b" in load_checkpoint(gpt)[2]["tokenizer"]["characters"]
    bert = changed(filler[0], tmp_path / "bert", lambda meta: {"tokenizer": _named(meta["tokenizer"])})
    french = changed(
        translator[0], tmp_path / "fr", lambda meta: {"target_tokenizer": _named(meta["target_tokenizer"])}
    )
    commands = {
        ("sample", gpt, "--tokens 300 --temperature 5 --seed 1"): None,
        ("fill", bert, "<mask>", "--top 9"): 1 + 9 + 2,
        ("translate", french, "one", "--beam 8 --n-best 8"): 1 + 8,
        ("embeddings", bert): 3 + 6,
    }
    for words, lines in commands.items():
        code, out, err = tinytx(*words)
        assert code == 0
        assert r"\x1b" in out
        assert all(line.isprintable() for line in (out + err).split("\n"))
        assert len(out.splitlines()) == lines or lines is None


def _swapped(tokenizer, key):
    """Return a tokenizer's state with control characters in the place of others."""
    characters = list(tokenizer[key])
    for i, control in enumerate("\x1b\x07\x9b\x08", start=4):
        characters[i] = control
    return tokenizer | {key: "".join(sorted(characters))}


def _named(tokenizer):
    """Return a tokenizer's state in which each word begins with what sets a title."""
    return tokenizer | {"words": [f"\x1b]0;{word}\n\x07" for word in tokenizer["words"]]}
