"""``python -m tinytx sample DIR``: text from a trained model, as it is written."""

import sys

import numpy as np

from tinytx.arguments import INT64
from tinytx.cli.options import INT8, add_options, add_run, given, load
from tinytx.decoding import Speculation
from tinytx.pipelines import Writer
from tinytx.progress import say
from tinytx.settings import Flags, setting


class SampleFlags(Flags):
    """How a text is continued."""

    command = "sample"
    prompt: str | None = setting(
        None, "text to continue; if not given, a line break, if the model knows one", empty=False
    )
    tokens: int = setting(500, "characters to write", minimum=0)
    temperature: float = setting(0.8, "0 takes the likeliest, 1 samples", minimum=0)
    top_k: int | None = setting(None, "sample among the k likeliest only", minimum=1)
    top_p: float | None = setting(
        None, "sample among the likeliest that hold this much probability only", above=0, maximum=1
    )
    stop: str | None = setting(None, "end after the first of these characters", empty=False, metavar="CHARACTERS")
    draft: str | None = setting(
        None, "folder of a smaller model with the same characters, or of the same one: read in 8 bits, it proposes what the model only has to check: the "
        "same distribution in less time, if the model is large", empty=False, metavar="DIR"
    )  # fmt: skip
    draft_tokens: int = setting(4, "characters that the draft proposes at a time", minimum=1, metavar="N")
    int8: bool = setting(False, INT8)
    seed: int | None = setting(None, "for the same text every time", minimum=0, maximum=INT64[1])


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = "Continue a prompt with a trained GPT."
    parser.epilog = 'Example: python -m tinytx sample runs/gpt --prompt "The " --temperature 0.7 --top-k 20'
    add_run(parser)
    add_options(parser, SampleFlags)


def run(arguments):
    """Print the prompt and its continuation."""
    flags = SampleFlags(**given(arguments, SampleFlags))
    options = {name: getattr(flags, name) for name in ("temperature", "top_k", "top_p", "stop")}
    writer = load(arguments, Writer, int8=flags.int8)
    counts = Speculation()
    if flags.draft is not None:
        draft = load(arguments, Writer, int8=True, folder=flags.draft)  # any draft leaves the distribution as it is
        options |= {"draft": draft, "draft_tokens": flags.draft_tokens, "counts": counts}
    for text in writer.write(flags.prompt, flags.tokens, rng=np.random.default_rng(flags.seed), **options):
        sys.stdout.write(text)
        sys.stdout.flush()
    print()
    if counts.proposed:
        facts = f"{counts.acceptance:.0%} of {counts.proposed:,} proposals of the draft accepted, {counts.tokens_per_call:.2f} characters"
        say(f"{facts} for each call of the model")
