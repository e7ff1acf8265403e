"""``python -m benchmarks``: that no benchmark is left out, what its table holds, and how two files are compared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))
all_of_them = pytest.importorskip("benchmarks.__main__")


def test_every_benchmark_with_figures_is_run():
    """All but the one that compares two checkouts, and itself; calibrate_gradcheck and the like write no figures."""
    written = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "turns.write_json(" in path.read_text()}
    assert set(all_of_them.SCRIPTS) == written - {"before_after", "__main__"}


def test_numbers_and_ratios_of_figures():
    figures = {"gpt": {"ms": 2, "ratio": 1.5, "loss": {"ours": 0.25}, "name": "x"}, "runs": [{"memory_ratio": 0.5}]}
    assert all_of_them.numbers(figures) == {"gpt.ms": 2, "gpt.ratio": 1.5, "gpt.loss.ours": 0.25, "runs.0.memory_ratio": 0.5}
    assert all_of_them.ratios(figures) == {"gpt.ratio": 1.5, "runs.0.memory_ratio": 0.5}


def written(path, machine, **figures):
    path.write_text(json.dumps({"machine": machine, "quick": False, "benchmarks": {"head": figures}}))
    return str(path)


def compared(*arguments):
    return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_two_files_are_compared(tmp_path):
    """Another machine is said, a figure that is 0 has no ratio, and what one file lacks is counted."""
    before, after = written(tmp_path / "a", "one", ms=4.0, zero=0, old=1), written(tmp_path / "b", "two", ms=5.0, zero=2)
    lines = compared("--compare", before, after).stdout.splitlines()
    assert lines[0] == "warning: machine differs: one, and then two"
    assert [line.split() for line in lines[2:4]] == [["head.ms", "4", "5", "1.250"], ["head.zero", "0", "2", "-"]]
    assert lines[4:] == ["1 figures in the file before only, such as head.old"]


@pytest.mark.parametrize("text", ["", "[1]", '{"machine": "one"}'])
def test_another_file_is_named(tmp_path, text):
    (tmp_path / "b").write_text(text)
    result = compared("--compare", written(tmp_path / "a", "one", ms=1), str(tmp_path / "b"))
    assert result.returncode == 2 and f"--compare: {tmp_path / 'b'}" in result.stderr


def test_a_benchmark_that_fails_is_said_at_the_end(monkeypatch, capsys):
    """The others run, and the program ends with an error."""

    def run(name, flags):
        if name == "ops":
            raise subprocess.CalledProcessError(1, name)
        return {"ratio": 2.0}

    monkeypatch.setattr(all_of_them, "run", run)
    monkeypatch.setattr(all_of_them, "machine", lambda: "one")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "ops", "head"])
    with pytest.raises(SystemExit, match="failed: ops"):
        all_of_them.main()
    assert "head.ratio     2.00" in capsys.readouterr().out


def test_a_place_where_no_file_can_be_is_refused_at_once(tmp_path, monkeypatch, capsys):
    """Catches an hour of figures that are lost, since they cannot be written."""
    turns = all_of_them.turns
    for path, facts in ((tmp_path, "is a folder"), (tmp_path / "a" / "b", f"is in {tmp_path / 'a'}, which is no folder")):
        for parse in (turns.parser("", quick="").parse_args, lambda args: monkeypatch.setattr(sys, "argv", ["", *args]) or all_of_them.main()):
            with pytest.raises(SystemExit):
                parse(["--json", str(path)])
            assert f"--json: {path} {facts}; expected a file" in capsys.readouterr().err
    assert turns.parser("", quick="").parse_args(["--json", str(tmp_path / "c")]).json == tmp_path / "c"


def test_only_a_file_that_stays_is_named(tmp_path, monkeypatch, capsys):
    """Catches the name of a script's file in a folder that is gone before anybody reads the line."""
    turns = all_of_them.turns
    turns.write_json(tmp_path / "a", {})
    assert capsys.readouterr().out == f"Wrote {tmp_path / 'a'}\n"
    environments = []
    monkeypatch.setattr(subprocess, "run", lambda command, env, check: (environments.append(env), Path(command[-1]).write_text("{}")))
    assert all_of_them.run("head", []) == {}
    monkeypatch.setattr(turns.os, "environ", environments[0])
    turns.write_json(tmp_path / "b", {})
    assert not capsys.readouterr().out and (tmp_path / "b").exists()
