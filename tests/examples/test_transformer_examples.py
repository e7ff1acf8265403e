"""The examples run, in small: what they write and say, and that Ctrl-C keeps the work. Figures are for long runs."""

import importlib.util
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.cli import main
from tinytx.data import build_tokenizers, date_pairs
from tinytx.decoding import beam_search, greedy
from tinytx.models import Transformer, TransformerConfig
from tinytx.tasks import SequenceToSequence
from tinytx.training import fit, load_checkpoint

pytest.importorskip("matplotlib")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = {"d_model": 8, "n_heads": 2, "d_ff": 8, "max_len": 64, "n_decoder_layers": 1}


def load(name, monkeypatch):
    """Return an example as a module, with a small model."""
    spec = importlib.util.spec_from_file_location(f"{name}_example", EXAMPLES / f"{name}.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "MODEL", example.MODEL | SMALL)
    return example


def run(example, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["example.py", *map(str, arguments)])
    example.main()


@pytest.fixture
def dates(monkeypatch):
    return load("transformer_dates", monkeypatch)


@pytest.fixture
def tatoeba(monkeypatch):
    pytest.importorskip("tokenizers")
    example = load("translate_tatoeba", monkeypatch)
    for name, value in {"PARTS": 300, "HELD_OUT": 6, "N_TOKENS": 8, "CHUNK": 4, "EVERY": 1}.items():
        monkeypatch.setattr(example, name, value)
    return example


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in date_pairs(80)))
    return path


def files(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def try_next(said, capsys):
    """Run the command that an example printed as ``Try next``, as a shell would; return what it wrote."""
    words = shlex.split(said.partition("Try next: python -m tinytx ")[2])
    assert main(words) == 0
    return capsys.readouterr().out


def test_dates(dates, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tmp_path = tmp_path / "it's a run"
    run(dates, monkeypatch, "--out", tmp_path, "--steps", 2, "--pairs", 100)
    said = capsys.readouterr().out
    assert "Exact match 0.0000 on 10 held-out dates" in said and "% of digits of year and day" in said
    assert files(tmp_path) == ["alignment.png", "attention.png", "checkpoint.npz", "loss.png", "metrics.jsonl"]
    assert len(try_next(said, capsys).splitlines()) == 1 and Path("march.png").is_file()
    model, _, meta = load_checkpoint(tmp_path)
    assert model.config.d_model == 8 and meta["source_tokenizer"] != meta["target_tokenizer"]
    run(dates, monkeypatch, "--out", tmp_path, "--steps", 3, "--pairs", 100)
    assert "Going on after step 2" in capsys.readouterr().out


def test_another_model_is_not_gone_on_with(dates, tmp_path, monkeypatch):
    """Heads change no shape, so weights would load without a word."""
    run(dates, monkeypatch, "--out", tmp_path, "--steps", 2, "--pairs", 100)
    monkeypatch.setattr(dates, "MODEL", dates.MODEL | {"n_heads": 4})
    with pytest.raises(SystemExit, match="holds a run of another model: choose another --out"):
        run(dates, monkeypatch, "--out", tmp_path, "--steps", 3, "--pairs", 100)


def test_the_share_of_digits_on_their_field(dates, monkeypatch):
    """Catches a row that belongs to the digit before or after, and a field that is wider than its digits."""
    weights = np.full((1, 2, 11, 20), 0.01)
    looks = {0: 16, 1: 17, 2: 18, 3: 19, 8: 10, 9: 12}  # the last one at the "t" of 27th
    for t, s in looks.items():
        weights[0, :, t, s] = 0.5
    monkeypatch.setattr(dates, "maps_of", lambda *_: {"decoder.blocks.0.cross_attention.f": weights})
    pair = "september 27th, 1994", "1994-09-27"
    assert dates.share_on_field(None, None, [pair]) == pytest.approx(5 / 6)
    weights[0, 0, 9, 11] = 1.5  # one head alone can move the mean,
    assert dates.share_on_field(None, None, [pair]) == 1
    weights[0, 0, 0, 0] = 0.9  # but what counts is the mean, not the largest
    assert dates.share_on_field(None, None, [pair]) == 1


def test_tatoeba(tatoeba, pairs, tmp_path, monkeypatch, capsys):
    out = tmp_path / "a run"
    run(tatoeba, monkeypatch, "--pairs", pairs, "--out", out, "--steps", 7)
    said = capsys.readouterr().out
    assert "greedy: BLEU" in said and "beam 4: BLEU" in said and "less likely 0 times" in said
    models = [f"{folder}/checkpoint.npz" for folder in ("average", *(f"recent-{i}" for i in range(5)))]
    pictures = ["alignment.png", "attention.png", "loss.png"]
    assert files(out) == sorted([*models, *pictures, "checkpoint.npz", "metrics.jsonl", "translations.tsv"])
    rows = [line.split("\t") for line in (out / "translations.tsv").read_text().splitlines()]
    assert len(rows) == 6 and {tuple(row[:2]) for row in rows} <= set(date_pairs(80))
    assert all(len(row) == 4 for row in rows)
    assert len(try_next(said, capsys).splitlines()) == 1
    averaged = load_checkpoint(out / "average")[0].state_dict()
    recent = [load_checkpoint(out / f"recent-{i}")[0].state_dict() for i in range(5)]
    for name, array in averaged.items():
        np.testing.assert_allclose(array, np.mean([state[name] for state in recent], axis=0), atol=1e-6)


def test_translations_are_those_of_each_sentence_alone(tatoeba, pairs):
    """Catches chunks that lose sentences, and a beam's second best in place of its best."""
    train, _, test = tatoeba.read(pairs)
    tokenizer, _ = build_tokenizers(train, "subwords", shared=True, vocab_size=300)
    config = TransformerConfig(300, 300, **tatoeba.MODEL)
    model = SequenceToSequence(Transformer(config, rng=np.random.default_rng(0), init=lambda rng, shape: rng.normal(0, 0.5, shape)))
    sources = [source for source, _ in test]
    said, beamed = ((*tatoeba.translate(decode, model, tokenizer, sources),) for decode in (greedy, beam_search))
    for i, source in enumerate(sources):
        ids = tokenizer.encode(source)[None]
        alone, best = greedy(model, ids, tatoeba.N_TOKENS), beam_search(model, ids, tatoeba.N_TOKENS)
        assert said[0][i] == tokenizer.decode(alone.words()[0])
        assert beamed[0][i] == tokenizer.decode(best.words()[0][0])
        assert said[1][i] == pytest.approx(alone.log_probs[0], abs=1e-4)
        assert beamed[1][i] == pytest.approx(best.log_probs[0, 0], abs=1e-4)
    assert set(map(bool, said[0])) == {True} and said[0] != beamed[0]


def test_training_pairs_are_not_held_out(tatoeba, pairs):
    train, validation, test = map(set, tatoeba.read(pairs))
    assert len(train) + len(validation) + len(test) == 80 and len(validation) == len(test) == 6
    for side in (0, 1):
        texts = [{pair[side] for pair in part} for part in (train, validation, test)]
        assert len(set.union(*texts)) == sum(map(len, texts))


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("name", ["dates", "tatoeba"])
def test_ctrl_c_saves(name, request, pairs, tmp_path, monkeypatch, capsys):
    example, out = request.getfixturevalue(name), tmp_path / "run"

    def interrupted(trainer, batch, **options):
        def first(step):
            if step == 2:
                signal.raise_signal(signal.SIGINT)
            return batch(step)

        return fit(trainer, first, **options)

    monkeypatch.setattr(example, "fit", interrupted)
    given = ["--out", out, "--pairs", {"dates": 100, "tatoeba": pairs}[name]]
    with pytest.raises(SystemExit, match="Stopped and saved; the same command goes on"):
        run(example, monkeypatch, *given)
    assert load_checkpoint(out)[1]["t"] == 3
    monkeypatch.setattr(example, "fit", fit)
    run(example, monkeypatch, *given, "--steps", 4)
    assert "Going on after step 3" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["transformer_dates", "translate_tatoeba"])
def test_help(name, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(load(name, monkeypatch), monkeypatch, "--help")
    assert ended.value.code == 0 and f"python examples/{name}.py" in capsys.readouterr().out
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 150
