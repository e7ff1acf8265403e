"""``python -m tinytx train transformer``: the encoder-decoder, on dates or on pairs of your own."""

import dataclasses
import math
from dataclasses import dataclass

from tinytx import ops
from tinytx.cli.advice import command
from tinytx.cli.load import read_tokenizers
from tinytx.cli.options import option
from tinytx.cli.pair_parts import read_parts
from tinytx.cli.rates import cosine
from tinytx.cli.run import Run, build, make_trainer
from tinytx.cli.settings import (
    LEAST_EPS,
    MOST_TOKENS,
    RunSettings,
    add_train_parser,
    begin,
    compare_data,
    digest,
    origin,
)
from tinytx.cli.translate import translate_all
from tinytx.data import PairBatches, build_tokenizers, encode_pairs
from tinytx.extras import MissingExtra
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.metrics import corpus_bleu, exact_match, perplexity
from tinytx.models import Transformer, TransformerConfig
from tinytx.progress import tracked
from tinytx.training import AdamW, WarmupInverseSqrt
from tinytx.wording import counted

KINDS = {"char": "characters", "word": "words", "subword": "subwords"}  # as flags name them, and tinytx.data
TIED = "both embeddings and the head; the target's and the head; none (if not given, as many as the vocabularies allow)"
OTHERS = "all but padding, or all"
DATES = {"pairs": (None,), "source": (None,)}
NOT_CHARS, COSINE = {"tokenizer": ("word", "subword")}, {"schedule": ("cosine",)}
FREE = ("dropout", "label_smoothing", "loss_form")  # what a resumed run may change: no weight depends on it


def _option(default, help_text, pairs=None, **details):
    """Return a field with one default for dates, and another for pairs of the user's own."""
    if pairs is not None:
        details |= {"pairs": pairs, "also": (pairs,)}
        help_text += f"; with pairs of your own {pairs}"
    return option(default, help_text, **details)


@dataclass(frozen=True)
class Settings(RunSettings):
    """The settings of a run; the defaults learn to read dates in a few minutes."""

    pairs: str | None = _option(None, "UTF-8 file with a source, a tab and a target on each line", file=True)
    valid: str | None = _option(None, "such a file that validates, in place of a part of the pairs", file=True)
    test: str | None = _option(None, "such a file that is held out and translated at the end", file=True)
    source: str | None = _option(None, "UTF-8 file of sources, one on each line; with --target", file=True)
    target: str | None = _option(None, "UTF-8 file of targets, line by line those of --source", file=True)
    dates: int = _option(
        50_000, "dates to generate and learn from where no file is given", minimum=100, maximum=10**7, only=DATES
    )
    skip_empty: bool = _option(False, "leave out pairs with an empty side, instead of stopping there")
    swap: bool = _option(False, "translate the other way: targets into sources")
    tokenizer: str = _option("char", "what a token is", "subword", choices=tuple(KINDS), fixed=True)
    vocab_size: int = _option(
        4000, "words, or parts of words, in a vocabulary at most", minimum=1, fixed=True, only=NOT_CHARS
    )
    min_count: int = _option(
        2, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True, only={"tokenizer": ("word",)}
    )
    lower: bool = _option(False, "read words and parts of words in lower case", fixed=True)
    shared_vocabulary: bool = _option(False, "one vocabulary for both sides", True, fixed=True)
    max_len: int = _option(64, "tokens in a text; longer pairs are left out", minimum=2)
    max_tokens: int = _option(
        3000, "tokens on either side of a batch, padding counted", 1000, minimum=1, maximum=MOST_TOKENS
    )
    d_model: int = _option(128, "width of the model", 256, minimum=1)
    n_heads: int = _option(4, "attention heads", minimum=1)
    n_encoder_layers: int = _option(2, "blocks of the encoder", minimum=1)
    n_decoder_layers: int = _option(1, "blocks of the decoder", 2, minimum=1)
    d_ff: int = _option(256, "width inside the feed-forward layers", 512, minimum=1)
    dropout: float = _option(0.0, "probability of dropout", 0.1, minimum=0.0)
    norm_order: str = _option("pre", "layer norm before or after each part", choices=NORM_ORDERS)
    final_norm: bool | None = _option(None, "a last layer norm behind each stack; if not given, where the order is pre")
    tied: str | None = _option(None, f"which matrices are one: {TIED}", choices=("three-way", "two-way", "none"))
    scaled_embedding: bool = _option(True, "multiply embeddings by the root of d-model")
    positions: str = _option("sinusoidal", "how places are told apart", choices=("sinusoidal", "learned"))
    activation: str = _option("relu", "inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    label_smoothing: float = _option(0.0, "share of each label that other tokens get", 0.1, minimum=0.0)
    loss_form: str = _option("kl_divergence", f"which others: {OTHERS}", choices=("kl_divergence", "cross_entropy"))
    schedule: str = _option("cosine", "what follows the warm-up", choices=("cosine", "inverse-sqrt"))
    lr: float = _option(2e-3, "largest learning rate; 0 is the paper's, (d_model warmup)^-0.5", 1.5e-3, minimum=0.0)
    min_lr: float = _option(0.0, "rate at the end of the cosine", minimum=0.0, only=COSINE)
    warmup: int = _option(100, "steps of linear warm-up", 200, minimum=1)
    decay_steps: int | None = _option(
        None, "step at which min-lr is reached; if not given, the last, of a longer run too", minimum=1, only=COSINE
    )
    beta1: float = _option(0.9, "Adam's decay of the first moment", minimum=0.0)
    beta2: float = _option(0.98, "Adam's decay of the second moment", minimum=0.0)
    eps: float = _option(1e-8, "Adam's epsilon", minimum=LEAST_EPS)
    weight_decay: float = _option(0.0, "AdamW's decay of matrices; 0 is Adam", minimum=0.0)
    train_fraction: float = _option(
        0.9, "share of the pairs to train on; half of the rest validates", minimum=0.0, only={"valid": (None,)}
    )
    eval_pairs: int = _option(500, "pairs of a validation on the way; the last one reads all", minimum=1)
    report_pairs: int = _option(2500, "held-out pairs that are translated at the end, at most", 1000, minimum=1)
    steps: int = _option(1500, "optimiser steps in all", 6000, minimum=1)


FOR_PAIRS = {f.name: f.metadata["pairs"] for f in dataclasses.fields(Settings) if "pairs" in f.metadata}


def add_parser(commands, name):
    """Add this command to the command line."""
    add_train_parser(
        commands,
        name,
        Settings,
        run,
        data="[--pairs FILE.tsv | --source FILE --target FILE] [--valid FILE.tsv] [--test FILE.tsv]",
        help="an encoder-decoder that translates: dates to ISO form, or pairs of yours",
        description="Train the Transformer of 'Attention is all you need'. Without flags it learns to write dates such "
        "as 'september 27, 1994' as 1994-09-27, from generated ones, in a few minutes.",
        example="--pairs fra-eng.tsv --tokenizer word --d-model 128 --out runs/french",
    )


def run(arguments):
    """Train, and return the exit code."""
    own = any(hasattr(arguments, name) for name in ("pairs", "source", "target"))
    settings, before = begin(arguments, Settings, "transformer", FOR_PAIRS if own else {})
    _check(settings)
    parts = read_parts(settings)
    tokenizers = _tokenizers(settings, parts.train, before)
    encoded = [encode_pairs(part, *tokenizers, max_len=settings.max_len) for part in parts[:3]]
    _check_longest(settings, encoded)
    batches = PairBatches(*encoded[0][:2], max_tokens=settings.max_tokens, pad_id=0, seed=settings.seed)
    checks = _validation(encoded[1], settings)
    data = digest(*(text for pair in parts.pairs for text in pair))
    compare_data(before, pairs=data)
    sizes = {f"{s}_vocab_size": t.vocab_size for s, t in zip(("source", "target"), tokenizers, strict=True)}
    config = TransformerConfig(**settings.fields_of(TransformerConfig) | sizes | {"tied": _tied(settings)})
    model = build(Transformer, config, settings, before, free=FREE)
    trainer = make_trainer(_optimizer(model, settings), model, settings, before)
    states = {f"{s}_tokenizer": t.to_dict() for s, t in zip(("source", "target"), tokenizers, strict=True)}
    run = Run("transformer", settings, trainer, before, arguments, pairs=data, **states)
    named = origin(settings, before, "pairs", "source", "target", "valid", "test")
    run.announce(*_announcement(settings, named, parts, encoded, tokenizers, batches))

    finished = run.fit(
        lambda step: batches.batch(step)[:2],
        tokens=sum(len(row) for side in encoded[0][:2] for row in side) // len(batches),
        evaluate=lambda: run.evaluate(batch[:2] for batch in checks(settings.eval_pairs)),
    )
    if not finished:
        return 130
    skipped = set(encoded[2].skipped)
    held_out = [pair for i, pair in enumerate(parts.held_out) if i not in skipped][: settings.report_pairs]
    hypotheses = []

    def measure():
        batches = list(checks())
        losses = {"val_loss": run.evaluate(batch[:2] for batch in batches), "perplexity": _perplexity(model, batches)}
        hypotheses.extend(translate_all(model, tokenizers[1], encoded[2].sources[: settings.report_pairs]))
        references = _references(settings, held_out)
        bleu = corpus_bleu(hypotheses, references).score
        return losses | {"exact_match": exact_match(hypotheses, references), "bleu": bleu}

    run.conclude(measure, lambda measured: _report(run, tokenizers[1].unit, held_out, hypotheses, measured))
    return 0


def _check(settings):
    """Raise ValueError for settings that do not go together."""
    if settings.tied == "three-way" and not settings.shared_vocabulary:
        raise ValueError("--tied three-way makes one table of both embeddings: it needs --shared-vocabulary")
    if settings.lower and settings.tokenizer == "char":
        raise ValueError("--lower is for words and parts of words, and --tokenizer is char")


def _tied(settings):
    """Return which matrices are one: as many as the vocabularies allow, if nothing was chosen."""
    return settings.tied or ("three-way" if settings.shared_vocabulary else "two-way")


def _tokenizers(settings, train, before):
    """Return (source tokenizer, target tokenizer), made of the pairs to train on or as the checkpoint holds them."""
    if before:
        return read_tokenizers(before.folder, before.meta, before.model.config)
    options = {
        "char": {},
        "word": {"max_words": settings.vocab_size, "min_count": settings.min_count, "lower": settings.lower},
        "subword": {"vocab_size": settings.vocab_size, "lower": settings.lower},
    }[settings.tokenizer]
    try:
        return build_tokenizers(train, KINDS[settings.tokenizer], shared=settings.shared_vocabulary, **options)
    except MissingExtra as error:
        raise MissingExtra(f"{error}, or choose --tokenizer word, which needs nothing", name=error.name) from error


def _check_longest(settings, encoded):
    """Raise ValueError where a pair alone is longer than a batch may be."""
    longest = max((len(row) for part in encoded for side in part[:2] for row in side), default=0)
    if longest > settings.max_tokens:
        remedy = f"give at least {longest}, or a smaller --max-len, which leaves long pairs out"
        facts = f"--max-tokens is {settings.max_tokens}, and the longest text has {counted(longest, 'token')}"
        raise ValueError(f"{facts}: {remedy}")


def _validation(encoded, settings):
    """Return a function: the batches of so many validation pairs, spread evenly, or of all."""

    def batches(n=None):
        every = max(1, len(encoded.sources) // n) if n else 1
        rows = encoded.sources[::every], encoded.targets[::every]
        return PairBatches(*rows, max_tokens=settings.max_tokens, pad_id=0, seed=0).epoch()

    return batches


def _optimizer(model, settings):
    """Return Adam, with a warm-up and a decay."""
    root = math.sqrt(settings.d_model * settings.warmup)
    peak = settings.lr or 1 / root  # 0 is the paper's
    schedule = cosine(settings, peak=peak)
    if settings.schedule == "inverse-sqrt":
        schedule = WarmupInverseSqrt(settings.d_model, settings.warmup, peak * root)
    betas = settings.beta1, settings.beta2
    return AdamW(model, schedule, betas=betas, eps=settings.eps, weight_decay=settings.weight_decay)


def _announcement(settings, named, parts, encoded, tokenizers, batches):
    """Return lines that say what is learned from, and what learns it; what was left out, too."""
    train, validation, held_out = map(len, parts[:3])
    left_out = sum(len(part.skipped) for part in encoded)
    lines = [f"Pairs: {parts.report}{named}; {train:,} to train on, {validation:,} to validate, {held_out:,} held out"]
    if left_out:
        lines.append(f"Left out as longer than {counted(settings.max_len, 'token')}: {left_out:,} (see --max-len)")
    lines.append("Such as: {} -> {}".format(*(shorten(text) for text in parts.train[0])))
    source, target = tokenizers
    sizes = f"{source.vocab_size:,} in the source, {target.vocab_size:,} in the target"
    if source is target or source.to_dict() == target.to_dict():
        sizes = f"{source.vocab_size:,}, shared"
    epoch = f"{counted(len(batches), 'batch', 'batches')} an epoch, {batches.padding():.0%} padding"
    lines.append(f"Vocabulary ({settings.tokenizer}): {sizes}; {epoch}")
    layers = f"{settings.n_encoder_layers} + {settings.n_decoder_layers} layers"
    lines.append(f"Model: Transformer, {layers}, {counted(settings.n_heads, 'head')}, width {settings.d_model}")
    return lines


def shorten(text, width=60):
    """Return a text, cut where it is longer than a line can show."""
    return text if len(text) <= width else text[: width - 4] + " ..."


def _perplexity(model, batches):
    """Return the perplexity of the batches' targets: without label smoothing, which is no part of a surprise."""
    sums, counts = [], []
    for source, target, _ in tracked(batches, "batch of the perplexity"):
        logits, labels = model(source, target[:, :-1]), target[:, 1:]
        sums.append(ops.cross_entropy(logits, labels, ignore_index=model.config.pad_id, count=1)[0])
        counts.append(model.count(source, target))
    return perplexity(sums, counts)


def _references(settings, pairs):
    """Return the targets of pairs as the model can write them: in lower case, if it reads no other."""
    return [target.lower() if settings.lower else target for _, target in pairs]


def _report(run, unit, pairs, hypotheses, measured):
    """Print the losses and some translations of a finished run; return commands to try next."""
    settings, references = run.settings, _references(run.settings, pairs)
    own = settings.pairs is not None or settings.source is not None
    smoothed = f" (with label smoothing {settings.label_smoothing:g})" if settings.label_smoothing else ""
    steps, seconds = counted(run.trainer.optimizer.t, "step"), f"{run.seconds:.0f} s"
    print(f"\nValidation loss {measured['val_loss']:.4f} nats per {unit}{smoothed} after {steps}, {seconds}")
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
        command(*"train transformer --pairs FILE.tsv".split()),
    ]
