"""Pairs of texts, and a model that writes the target of each source: what the recipes of such models share."""

import math
from typing import NamedTuple

from tinytx.data import PairBatches, build_tokenizers, encode_pairs
from tinytx.data.tokenizers.tokenizer import SPECIAL
from tinytx.extras import MissingExtra
from tinytx.metrics import corpus_bleu, exact_match
from tinytx.pipelines import Translator
from tinytx.recipes.pair_parts import generated_dates, read_parts
from tinytx.recipes.recipe import Prepared, measures_of_the_task
from tinytx.recipes.settings import MOST_TOKENS, digest
from tinytx.settings import Settings, setting
from tinytx.tasks.sequence_to_sequence import LossSettings
from tinytx.wording import command, counted

KINDS = {"char": "characters", "word": "words", "subword": "subwords"}  # as flags name them, and tinytx.data
DATES_ONLY = {"pairs": (None,), "source": (None,)}
NOT_CHARS = {"tokenizer": ("word", "subword")}


class PairSettings(Settings):
    """Which pairs are learned, and what their tokens are."""

    pairs: str | None = setting(None, "UTF-8 file with a source, a tab and a target on each line", file=True)
    valid: str | None = setting(None, "such a file that validates, in place of a part of the pairs", file=True)
    test: str | None = setting(None, "such a file that is held out and translated at the end", file=True)
    source: str | None = setting(None, "UTF-8 file of sources, one on each line; with --target", file=True)
    target: str | None = setting(None, "UTF-8 file of targets, line by line those of --source", file=True)
    dates: int = setting(
        50_000, "dates to generate and learn from where no file is given", minimum=100, maximum=10**7, only=DATES_ONLY
    )
    skip_empty: bool = setting(False, "leave out pairs with an empty side, instead of stopping there")
    swap: bool = setting(False, "translate the other way: targets into sources")
    tokenizer: str = setting("char", "what a token is", choices=tuple(KINDS), fixed=True)
    vocab_size: int = setting(
        4000, "words, or parts of words, in a vocabulary at most", minimum=1, fixed=True, only=NOT_CHARS
    )
    min_count: int = setting(
        2, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True, only={"tokenizer": ("word",)}
    )
    lower: bool = setting(False, "read words and parts of words in lower case", fixed=True)
    shared_vocabulary: bool = setting(False, "one vocabulary for both sides", fixed=True)
    max_len: int = setting(64, "tokens in a text; longer pairs are left out", minimum=2)
    max_tokens: int = setting(
        3000, "tokens on either side of a batch, padding counted", minimum=1, maximum=MOST_TOKENS
    )
    lr: float = setting(2e-3, "largest learning rate; 0 is the paper's, (d_model warmup)^-0.5", minimum=0)
    train_fraction: float = setting(
        0.9, "share of the pairs to train on; half of the rest validates", minimum=0, only={"valid": (None,)}
    )
    report_pairs: int = setting(2500, "held-out pairs that are translated at the end, at most; the first ones", minimum=1)


class Kept(NamedTuple):
    """What measures and examples need."""

    settings: Settings
    tokenizers: tuple  # of the source, of the target
    sources: list  # encoded, of the pairs that are held out and short enough
    pairs: list  # those pairs


def prepare_pairs(settings, before, make_config, *, generate=generated_dates, special=SPECIAL):
    """Return what is `Prepared`: pairs of texts in batches of like lengths; ``kept`` is what is `Kept`.

    Parameters
    ----------
    settings : RunSettings
        With those of `PairSettings` and `LossSettings`, and a ``d_model``.
    before : Before, or None
    make_config : function (settings, tokenizers of both sides) -> config of the model
    generate : function (settings) -> (pairs, one line that says where they come from)
        Makes the pairs where no file is named.
    special : tuple of str
        The tokenizers' special tokens.

    Raises
    ------
    ValueError
        If settings do not go together, files cannot be read, or a pair is longer than a batch may be.
    """
    if settings.lower and settings.tokenizer == "char":
        raise ValueError("--lower is for words and parts of words, and --tokenizer is char")
    parts = read_parts(settings, generate)
    tokenizers = _tokenizers(settings, parts.train, before, special)
    encoded = [encode_pairs(part, *tokenizers, max_len=settings.max_len) for part in parts[:3]]
    _check_longest(settings, encoded)
    shape = {"max_tokens": settings.max_tokens, "pad_id": 0}
    batches = PairBatches(*encoded[0][:2], **shape, seed=settings.seed)
    validation = PairBatches(*encoded[1][:2], **shape, seed=0).epoch()
    sides = zip(("source", "target"), tokenizers, strict=True)
    skipped = set(encoded[2].skipped)
    held_out = [pair for i, pair in enumerate(parts.held_out) if i not in skipped][: settings.report_pairs]
    return Prepared(
        config=make_config(settings, tokenizers),
        task_settings=settings.fields_of(LossSettings),
        batch=lambda step: batches.batch(step)[:2],
        validation=[batch[:2] for batch in validation],
        digests={"pairs": digest(*(text for pair in parts.pairs for text in pair))},
        tokenizers={f"{side}_tokenizer": tokenizer.to_dict() for side, tokenizer in sides},
        lines=_announcement(settings, parts, encoded, tokenizers, batches),
        kept=Kept(settings, tokenizers, encoded[2].sources[: settings.report_pairs], held_out),
        peak=_peak(settings),
    )


def measure_pairs(model, prepared):
    """Return (perplexity, exact match and BLEU; translations of the pairs that were held out)."""
    settings, tokenizers, sources, pairs = prepared.kept
    surprise, _ = measures_of_the_task(model, prepared)
    hypotheses, references = Translator(model, *tokenizers).translate_ids(sources), _references(settings, pairs)
    matched, bleu = exact_match(hypotheses, references), corpus_bleu(hypotheses, references).score
    return surprise | {"exact_match": matched, "bleu": bleu}, hypotheses


def _tokenizers(settings, train, before, special):
    """Return (source tokenizer, target tokenizer), made of the pairs to train on or as the checkpoint holds them."""
    if before:
        return Translator.of(before.model, before.meta, before.folder)[1:]
    options = {
        "char": {},
        "word": {"max_words": settings.vocab_size, "min_count": settings.min_count, "lower": settings.lower},
        "subword": {"vocab_size": settings.vocab_size, "lower": settings.lower},
    }[settings.tokenizer]
    try:
        options |= {"special": special, "shared": settings.shared_vocabulary}
        return build_tokenizers(train, KINDS[settings.tokenizer], **options)
    except MissingExtra as error:
        raise MissingExtra(f"{error}, or choose --tokenizer word, which needs nothing", name=error.name) from error


def _check_longest(settings, encoded):
    """Raise ValueError where a pair alone is longer than a batch may be."""
    longest = max((len(row) for part in encoded for side in part[:2] for row in side), default=0)
    if longest > settings.max_tokens:
        remedy = f"give at least {longest}, or a smaller --max-len, which leaves long pairs out"
        facts = f"--max-tokens is {settings.max_tokens}, and the longest text has {counted(longest, 'token')}"
        raise ValueError(f"{facts}: {remedy}")


def _peak(settings):
    """Return the largest learning rate: for 0 the paper's."""
    if settings.lr == settings.warmup == 0:
        raise ValueError("--lr 0 is the paper's, (d_model warmup)^-0.5: it needs a --warmup of at least 1")
    return settings.lr or 1 / math.sqrt(settings.d_model * settings.warmup)


def _announcement(settings, parts, encoded, tokenizers, batches):
    """Return lines that describe the data, and say how many pairs were left out."""
    train, validation, held_out = map(len, parts[:3])
    left_out = sum(len(part.skipped) for part in encoded)
    lines = [f"Pairs: {parts.report}; {train:,} to train on, {validation:,} to validate, {held_out:,} held out"]
    if left_out:
        lines.append(f"Left out as longer than {counted(settings.max_len, 'token')}: {left_out:,} (see --max-len)")
    lines.append("Such as: {} -> {}".format(*(shorten(text) for text in parts.train[0])))
    source, target = tokenizers
    sizes = f"{source.vocab_size:,} in the source, {target.vocab_size:,} in the target"
    if source is target or source.to_dict() == target.to_dict():
        sizes = f"{source.vocab_size:,}, shared"
    epoch = f"{counted(len(batches), 'batch', 'batches')} an epoch, {batches.padding():.0%} padding"
    lines.append(f"Vocabulary ({settings.tokenizer}): {sizes}; {epoch}")
    return lines


def shorten(text, width=60):
    """Return a text, cut if it is longer than ``width``."""
    return text if len(text) <= width else text[: width - 4] + " ..."


def _references(settings, pairs):
    """Return the targets of pairs as the model can write them: in lower case, if its tokenizer knows no capitals."""
    return [target.lower() if settings.lower else target for _, target in pairs]


def report_pairs(run, prepared, measured, hypotheses):
    """Print the losses and some translations of a finished run; return commands to try next."""
    settings, (_, target), _, pairs = prepared.kept
    unit, references = target.unit, _references(settings, pairs)
    own = settings.pairs is not None or settings.source is not None
    print(f"Perplexity {measured['perplexity']:.3f} per {unit}")
    case = ", in lower case" if settings.lower else ""
    print(f"Exact match on {counted(len(pairs), 'held-out pair')}{case}: {measured['exact_match']:.4f}")
    if own:
        print(f"BLEU on the same pairs: {measured['bleu']:.1f}")
    print("\n--- held-out pairs ---")
    wrong = [i for i, (h, r) in enumerate(zip(hypotheses, references, strict=True)) if h != r]
    for i in [*range(min(4, len(pairs))), *(i for i in wrong if i >= 4)][:6]:
        expected = "" if hypotheses[i] == references[i] else f"   (expected {shorten(references[i])})"
        print(f"{shorten(pairs[i][0])} -> {shorten(hypotheses[i])}{expected}")
    print("----------------------\n")
    sources = [source for source, _ in pairs]
    example = min(sources, key=lambda text: (text[:1] == "-", "'" in text, len(text) > 60))  # one that reads well
    return [
        command("translate", run.folder, example),
        command("explain", run.folder, example),
        command(*"train pairs --pairs FILE.tsv".split()),
    ]
