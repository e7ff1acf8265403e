"""``python -m tinytx translate DIR SENTENCE ...``: a trained Transformer translates."""

from contextlib import closing
from typing import NamedTuple

import numpy as np

from tinytx.cli.load import load_run, note_unknown
from tinytx.cli.paths import check_file
from tinytx.cli.texts import encode_known, given_texts
from tinytx.decoding import beam_search, greedy
from tinytx.extras import require
from tinytx.progress import progress, say
from tinytx.wording import counted

AT_A_TIME = 64  # sentences that are decoded together
LENGTH_PENALTY = 0.6  # Vaswani et al. 2017, section 6.1


class Found(NamedTuple):
    """One translation: its ids, ``<stop>`` included where ``ended``, and what a beam search orders it by."""

    ids: np.ndarray
    score: float
    ended: bool


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="let a trained Transformer translate",
        description="Translate sentences with a trained Transformer: greedily, or by beam search. What its vocabulary "
        "does not hold is read as <unk>, which is noted on standard error.",
        epilog=f'Example: python -m tinytx {name} runs/transformer "september 27, 1994" --beam 4 --n-best 2',
    )
    parser.add_argument("dir", metavar="DIR", help="folder of a run, which holds checkpoint.npz")
    parser.add_argument(
        "sentences", metavar="SENTENCE", nargs="+", help="what to translate; - stands for the lines of standard input"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--greedy", action="store_true", help="take the likeliest token each time (this is the default)")
    how.add_argument("--beam", type=int, metavar="N", help="beam search, which follows N beginnings at a time")
    penalty = f"for long translations, in a beam search: 0 is none (default: {LENGTH_PENALTY})"
    parser.add_argument("--length-penalty", type=float, metavar="ALPHA", help=penalty)
    parser.add_argument("--n-best", type=int, metavar="N", help="print the beam search's N best, with their scores")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="of a translation (default: the model's max_len)")
    parser.add_argument("--picture", metavar="FILE.png", help="draw where the translation of one sentence looked")
    parser.set_defaults(run=run)


def run(arguments):
    """Print each translation on a line."""
    beam = _beam(arguments)
    check_file("--picture", arguments.picture, ".png")
    if arguments.picture is not None:
        require("matplotlib", "train", "drawing where the translation looked")
    model, source_tokenizer, target_tokenizer = load_run(arguments.dir, ("transformer",))
    most = model.config.max_len
    n_tokens = most if arguments.max_tokens is None else arguments.max_tokens
    if not 1 <= n_tokens <= most:
        raise ValueError(f"--max-tokens is {n_tokens}, expected 1 to the model's max_len, {most}")
    sentences = given_texts(arguments.sentences, "sentence", source_tokenizer)
    if arguments.picture is not None and (len(sentences) != 1 or not sentences[0][1]):
        raise ValueError(f"--picture draws one sentence, and there are {sum(bool(text) for _, text in sentences)}")
    sources = [encode_source(source_tokenizer, text, model, place) for place, text in sentences]
    for place, text in sentences:
        note_unknown(say, source_tokenizer, text)
        if not text:
            say(f"Note: {place} is empty, and so is its translation")
    with closing(progress(len(sources), unit="sentence", stays=False)) as bar:
        for start in range(0, len(sources), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            decoded = decode(model, sources[part], n_tokens, beam)
            bar.hide()
            for (place, text), found in zip(sentences[part], decoded, strict=True):
                _print(place, text, found, target_tokenizer, arguments.n_best)
            bar.update(n=len(decoded))
    if arguments.picture is not None:
        draw_alignment(arguments.picture, model, sources[0], found[0], source_tokenizer, target_tokenizer)
        say(f"Wrote {arguments.picture}")


def encode_source(tokenizer, text, model, place):
    """Return the ids of a source; raise ValueError if the model cannot read so many."""
    ids, most = encode_known(tokenizer, text, place), model.config.max_len
    if len(ids) > most:
        facts = f"{place} has {counted(len(ids), 'token')}"
        raise ValueError(f"{facts}, and the model reads at most {most}: cut it, {text!r:.60}")
    return ids


def decode(model, sources, n_tokens, beam=None):
    """Translate a few sources together.

    Parameters
    ----------
    model : Transformer
    sources : list of B int arrays (S,)
        The translation of an empty one is empty.
    n_tokens : int
    beam : dict, optional
        ``beam_size``, ``alpha``, ``n_best`` of `tinytx.decoding.beam_search`; without it, greedy.

    Returns
    -------
    found : list of B lists of Found, best first
    """
    found = [[] if len(source) else [Found(source, 0.0, True)] for source in sources]
    rows = [row for row, source in enumerate(sources) if len(source)]
    if not rows:
        return found
    search, options = (beam_search, beam) if beam else (greedy, {})
    decoded = search(model, [sources[row] for row in rows], n_tokens, **options)
    n = len(rows)
    ids = decoded.ids.reshape(n, -1, decoded.ids.shape[-1])  # (B, n_best, T)
    lengths, ended, scores = (a.reshape(n, -1) for a in (decoded.lengths, decoded.ended, decoded.scores))
    for b, i in np.argwhere(lengths > 0).tolist():
        found[rows[b]].append(Found(ids[b, i, : lengths[b, i]], float(scores[b, i]), bool(ended[b, i])))
    return found


def translate_all(model, target_tokenizer, sources):
    """Return the greedy translations, a list of str, of many sources; those of like lengths are decoded together.

    How far it is is shown on standard error.
    """
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
    texts = [""] * len(sources)
    with closing(progress(len(sources), unit="translation", stays=False)) as bar:
        for start in range(0, len(order), AT_A_TIME):
            rows = order[start : start + AT_A_TIME]
            found = decode(model, [sources[row] for row in rows], model.config.max_len)
            for row, (best,) in zip(rows, found, strict=True):
                texts[row] = target_tokenizer.decode(best.ids)
            bar.update(n=len(rows))
    return texts


def draw_alignment(path, model, source, found, source_tokenizer, target_tokenizer):
    """Draw how much each word of a translation looked at each of the source: the mean of the last layer's heads."""
    from tinytx.viz import alignment_picture, attention_maps  # draws with matplotlib: only where it is asked for

    fed = np.concatenate([[model.config.start_id], found.ids[:-1]])  # position t, which was fed this, said word t
    maps = attention_maps(model, source[None], fed[None])
    last = [weights for layer, weights in maps.items() if "cross_attention" in layer][-1]  # (1, H, T, S)
    names = source_tokenizer.tokens(source), target_tokenizer.tokens(found.ids)
    alignment_picture(path, last[0].mean(axis=0), *names, "Cross-attention, the mean of the last layer's heads")


def _beam(arguments):
    """Return the options of the beam search, or None; raise ValueError for what would have no effect."""
    if arguments.beam is None:
        for name in ("length_penalty", "n_best"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} is for a beam search: give --beam N, too")
        return None
    alpha = LENGTH_PENALTY if arguments.length_penalty is None else arguments.length_penalty
    n_best = 1 if arguments.n_best is None else arguments.n_best
    return {"beam_size": arguments.beam, "alpha": alpha, "n_best": n_best}


def _print(place, text, found, tokenizer, n_best):
    """Print one sentence's translations; with their scores, below the sentence, if several were asked for."""
    if n_best is not None:
        print(text)
    for one in found:
        translation = tokenizer.decode(one.ids).replace("\n", r"\n")  # a line is a translation
        print(translation if n_best is None else f"  {one.score:8.3f}  {translation}", flush=True)
        if not one.ended:
            say(f"Note: {place}: no <stop> in {counted(len(one.ids), 'token')}, where it was cut off")
