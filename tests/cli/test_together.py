"""``mpirun -n 2 python -m mpi4py -m tinytx train``: what threads train, written and said once; ends, and what goes on."""

import os
import re
import signal

import pytest
from mpirun import KILLED, OPEN_MPI, begun, mpirun, needs_mpi, ranks_of

from tinytx.cli import main
from tinytx.files import load_arrays, read_json_lines

pytestmark = [needs_mpi, pytest.mark.compiled]
SMALL = "--d-model 16 --n-layers 1 --max-len 16 --batch-size 4 --dropout 0.1 --eval-every 20 --log-every 1".split()


def arrays_of(folder):
    return {name: array.tobytes() for name, array in load_arrays(folder / "checkpoint.npz")[0].items()}


def test_two_ranks_train_what_two_threads_train(tmp_path):
    """Catches a command whose ranks see other batches, rates or validations than threads do, and a rank that prints."""
    flags = ["train", "gpt", *SMALL, "--steps", "30", "--patience", "5"]
    done = mpirun(2, "-m", "tinytx", *flags, "--out", tmp_path / "ranks", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 ranks of 1 thread") == done.stdout.count("Validation loss") == 1
    assert done.stdout.count("step    20") == done.stderr.count("30/30") == 1
    assert main([*flags, "--out", str(tmp_path / "threads"), "--threads", "2"]) == 0
    for part in (".", "best"):
        assert arrays_of(tmp_path / "ranks" / part) == arrays_of(tmp_path / "threads" / part)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("ranks", "threads")]
    assert files[0] == files[1]
    losses = [[record.get("val_loss") for record in read_json_lines(tmp_path / name / "metrics.jsonl")] for name in ("ranks", "threads")]
    assert losses[0] == losses[1]


def test_divided_moments_are_whole_in_the_checkpoint(tmp_path):
    """Catches a checkpoint with the first rank's moments alone, and one whose moments other ranks do not find again."""
    flags = [*SMALL, "--schedule", "constant", "--threads"]
    for n, more in ((2, ["--steps", "22", "--out"]), (3, ["--steps", "30", "--resume"])):
        done = mpirun(n, "-m", "tinytx", "train", "gpt", *flags, "1", "--divide", *more, tmp_path / "ranks")
        assert done.returncode == 0, done.stderr
    for n, more in ((2, ["--steps", "22", "--out"]), (3, ["--steps", "30", "--resume"])):
        assert main(["train", "gpt", *flags, str(n), *more, str(tmp_path / "threads")]) == 0
    assert arrays_of(tmp_path / "ranks") == arrays_of(tmp_path / "threads")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_any_number_goes_on(tmp_path, number):
    """Catches ranks that stop after different steps, and a first rank that is ended while it still writes."""
    flags = ["train", "gpt", *SMALL, "--steps", "100000", "--threads", "1"]
    with begun(tmp_path / "run", flags) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    stopped = load_arrays(tmp_path / "run" / "checkpoint.npz")[1]["step"]
    if OPEN_MPI:  # its mpirun ends the ranks itself, and prints no more of what they say
        assert process.returncode == 1, errors
    else:
        assert process.returncode == 130, errors
        assert re.findall(r"Stopped after step (\d+); saved", output) == [str(stopped)]
    step = stopped + 4
    assert main(["train", "gpt", "--resume", str(tmp_path / "run"), "--steps", str(step), "--threads", "2"]) == 0
    records = read_json_lines(tmp_path / "run" / "metrics.jsonl")
    assert [record["step"] for record in records if "train_loss" in record] == list(range(1, step + 1))


@pytest.mark.parametrize("moment", ["during imports", "afterwards"])
def test_ctrl_c_before_mpi_has_begun_ends_all(tmp_path, moment):
    """Catches a rank that goes by itself: the other waits in MPI's start for ever."""
    program = "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program += "if '1' in (os.environ.get('PMI_RANK'), os.environ.get('OMPI_COMM_WORLD_RANK')):\n    from mpi4py import MPI\n"
    if moment == "during imports":
        (tmp_path / "numpy.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
        program += f"else:\n    sys.path.insert(0, {str(tmp_path)!r})\n"
    else:
        program += "else:\n    import tinytx.cli as cli; cli._parser = lambda argv: signal.raise_signal(signal.SIGINT)\n"
    program += "from tinytx.__main__ import main; sys.exit(main())"
    done = mpirun(2, "-c", program, "train", "gpt", *SMALL, "--steps", "3", "--out", tmp_path / "run", timeout=30)
    assert done.returncode != 0 and "tinytx: interrupted" in done.stderr, done
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_others(tmp_path, rank):
    """Catches ranks that wait for ever for one that is gone, and a checkpoint that cannot be gone on with."""
    flags = ["train", "gpt", *SMALL, "--steps", "100000", "--threads", "1"]
    with begun(tmp_path / "run", flags) as process:
        os.kill(ranks_of(process)[rank], signal.SIGKILL)
        output, errors = process.communicate(timeout=10)
    assert process.returncode != 0 and KILLED in output + errors
    reached = read_json_lines(tmp_path / "run" / "metrics.jsonl")[-1]["step"]
    steps = load_arrays(tmp_path / "run" / "checkpoint.npz")[1]["step"]
    assert reached - steps <= 20
    done = mpirun(3, "-m", "tinytx", "train", "gpt", "--resume", tmp_path / "run", "--steps", steps + 3)
    assert done.returncode == 0, done.stderr


def test_errors_are_said_once(tmp_path):
    """Catches an error that each rank prints, that of another rank than the first which nobody sees, and processes that
    do not know of each other."""
    train = ["train", "gpt", *SMALL, "--steps", "3", "--out", tmp_path / "run"]
    done = mpirun(2, "-m", "tinytx", *train, "--batch-size", "1")
    assert done.returncode == 2 and done.stderr.count("the batch has 1 rows for 2 ranks") == 1
    assert not (tmp_path / "run").exists()
    fails = "import sys; from mpi4py import MPI; from tinytx.cli import main; import tinytx.training.loop as loop\n"
    fails += "if MPI.COMM_WORLD.rank: loop.progress = lambda *_: 1 / 0\n"
    done = mpirun(2, "-c", fails + "sys.exit(main(sys.argv[1:]))", *train)
    assert done.returncode == 2 and "Rank 1 of 2 failed" in done.stderr and "division by zero" in done.stderr
    done = mpirun(2, "-m", "tinytx", *train, under=None)
    assert done.returncode == 2 and "python -m mpi4py -m tinytx train gpt" in done.stderr
    assert not list(tmp_path.glob("run/metrics*"))
    done = mpirun(2, "-m", "tinytx", *train, "--no-such")
    assert done.returncode == 2 and done.stderr.count("unrecognized arguments: --no-such") == 1
    done = mpirun(2, "-m", "tinytx", "train", "gpt", "--help")
    assert done.returncode == 0 and done.stdout.count("usage:") == 1


FAULTS = {  # what rank 1 has otherwise: what the error says
    "sys.argv += ['--steps', '5']": "--steps: rank 0 has 3, rank 1 has 5",
    "sys.argv += ['--no-such']": "unrecognized arguments: --no-such",
    "import tinytx.recipes.settings as s; s.hashlib.sha256 = s.hashlib.md5": "checksum of the text: rank 0 has",
    "import numpy as n, tinytx.recipes.gpt as t; t.random_batch = lambda *_, **__: [n.ones((4, 16), int)] * 2": "step 0: checksum of the batch: rank 0 has",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_ranks_that_differ_end_at_once(tmp_path, fault):
    """Catches ranks that wait for one that has other flags, and a model that is learned from two texts, or from batches at random."""
    program = f"import sys, os\nif '1' in (os.environ.get('PMI_RANK'), os.environ.get('OMPI_COMM_WORLD_RANK')):\n    {fault}\n"
    program += "from tinytx.cli import main; sys.exit(main(sys.argv[1:]))"
    done = mpirun(2, "-c", program, "train", "gpt", *SMALL, "--steps", "3", "--out", tmp_path / "run")
    assert done.returncode == 2 and FAULTS[fault] in done.stderr, done


def test_a_test_set_is_shared_out(tmp_path):
    """Catches measures and translations that depend on who made them, ranks that wait for a report, and an error that none says."""
    small = "--dates 4000 --d-model 16 --n-heads 2 --n-encoder-layers 1 --n-decoder-layers 1 --d-ff 16 --steps 2 --max-tokens 200".split()
    flags, folders = ["train", "transformer", *small], {name: tmp_path / name for name in ("ranks", "threads", "failed")}
    fails = "import sys; from mpi4py import MPI; from tinytx.cli import main; import tinytx.pipelines.translate as module\n"
    fails += "if MPI.COMM_WORLD.rank: module.beam_search = module.greedy = lambda *_, **__: 1 / 0\n"
    done = mpirun(3, "-m", "tinytx", *flags, "--threads", "1", "--out", folders["ranks"])
    assert done.returncode == 0, done.stderr
    assert main([*flags, "--threads", "3", "--out", str(folders["threads"])]) == 0
    last, report = ({name: read(folders[name]) for name in ("ranks", "threads")} for read in (_measures, _report))
    assert last["ranks"] == last["threads"] and "bleu" in last["ranks"] and report["ranks"] == report["threads"]
    done = mpirun(2, "-c", fails + "sys.exit(main(sys.argv[1:]))", *flags, "--out", folders["failed"])
    assert done.returncode == 0 and "Not measured: rank 1 of 2: ZeroDivisionError: division by zero" in done.stdout, done
    assert "Try next:" in done.stdout


def _measures(folder):
    return read_json_lines(folder / "metrics.jsonl")[-1]


def _report(folder):
    """What a report says, without its first line, which has seconds, and its folder."""
    return (folder / "report.txt").read_text().replace(str(folder), "DIR").splitlines()[1:]
