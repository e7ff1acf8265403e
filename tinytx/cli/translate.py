"""``python -m tinytx translate DIR SENTENCE ...``: a trained Transformer translates."""

from contextlib import closing

from tinytx.cli.options import INT8, add_options, add_run, given, load
from tinytx.cli.texts import given_texts
from tinytx.extras import require
from tinytx.paths import check_file
from tinytx.pipelines import Translator
from tinytx.pipelines.texts import unknown_note
from tinytx.pipelines.translate import AT_A_TIME, LENGTH_PENALTY
from tinytx.progress import progress, say
from tinytx.settings import Flags, flag_of, setting
from tinytx.wording import counted


class TranslateFlags(Flags):
    """How sentences are translated."""

    command = "translate"
    greedy: bool = setting(False, "take the likeliest token each time, as is done without --beam")
    beam: int | None = setting(None, "beam search, which follows N beginnings at a time", minimum=1, metavar="N")
    length_penalty: float | None = setting(
        None, f"for long translations, in a beam search: 0 is none; {LENGTH_PENALTY} if not given", minimum=0,
        metavar="ALPHA",
    )  # fmt: skip
    n_best: int | None = setting(
        None, "print the beam search's N best, with their scores", minimum=1, metavar="N"
    )
    max_tokens: int | None = setting(
        None, "tokens of a translation; the model's max_len if not given", minimum=1, metavar="N"
    )
    int8: bool = setting(False, INT8)
    picture: str | None = setting(None, "draw where the translation of one sentence looked", metavar="FILE.png")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Translate sentences with a trained Transformer: greedily, or by beam search. What its
    vocabulary does not hold is read as <unk>; a note on standard error says so."""
    parser.epilog = 'Example: python -m tinytx translate runs/transformer "september 27, 1994" --beam 4 --n-best 2'
    add_run(parser)
    sentences = "what to translate; - stands for the lines of standard input"
    parser.add_argument("sentences", metavar="SENTENCE", nargs="+", help=sentences)
    add_options(parser, TranslateFlags)


def run(arguments):
    """Print each translation on a line."""
    flags = TranslateFlags(**given(arguments, TranslateFlags))
    beam = _beam(flags)
    check_file("--picture", flags.picture, ".png")
    if flags.picture is not None:
        require("matplotlib", "train", "drawing where the translation looked")
    translator = load(arguments, Translator, int8=flags.int8)
    tokenizer, most = translator.source_tokenizer, translator.model.config.max_len
    if flags.max_tokens is not None and flags.max_tokens > most:
        raise ValueError(f"--max-tokens is {flags.max_tokens}, expected 1 to the model's max_len, {most}")
    sentences = given_texts(arguments.sentences, "sentence", tokenizer)
    if flags.picture is not None and (len(sentences) != 1 or not sentences[0][1]):
        raise ValueError(f"--picture draws one sentence, and there are {sum(bool(text) for _, text in sentences)}")
    sources = [translator.encode(text, place) for place, text in sentences]
    for place, text in sentences:
        for note in unknown_note(tokenizer, text) if text else [f"Note: {place} is empty, and so is its translation"]:
            say(note)
    with closing(progress(len(sources), unit="sentence", stays=False)) as bar:
        for start in range(0, len(sources), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            decoded = translator.decode(sources[part], flags.max_tokens, beam)
            bar.hide()
            for (place, text), found in zip(sentences[part], decoded, strict=True):
                _print(place, text, found, flags.n_best)
            bar.update(n=len(decoded))
    if flags.picture is not None:
        translator.draw(flags.picture, sources[0], found[0])
        say(f"Wrote {flags.picture}")


def _beam(flags):
    """Return the options of the beam search, or None; raise ValueError for flags that would have no effect."""
    if flags.beam is None:
        for name in ("length_penalty", "n_best"):
            if getattr(flags, name) is not None:
                raise ValueError(f"{flag_of(name)} is for a beam search: give --beam N, too")
        return None
    if flags.greedy:
        raise ValueError("--greedy and --beam exclude each other: leave one out")
    alpha = LENGTH_PENALTY if flags.length_penalty is None else flags.length_penalty
    return {"beam_size": flags.beam, "alpha": alpha, "n_best": 1 if flags.n_best is None else flags.n_best}


def _print(place, text, found, n_best):
    """Print one sentence's translations; with ``n_best`` the sentence first, and a score before each translation."""
    if n_best is not None:
        print(text)
    for one in found:
        translation = one.text.replace("\n", r"\n")  # a line is a translation
        print(translation if n_best is None else f"  {one.score:8.3f}  {translation}", flush=True)
        if not one.ended:
            say(f"Note: {place}: no <stop> in {counted(len(one.ids), 'token')}, where it was cut off")
