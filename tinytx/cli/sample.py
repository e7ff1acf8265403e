"""``python -m tinytx sample DIR``: text from a trained model, as it is written."""

import math
import sys

import numpy as np

from tinytx.cli.load import load_run
from tinytx.cli.texts import encode_known, known_form
from tinytx.decoding import generate


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="let a trained GPT write",
        description="Continue a prompt with a trained GPT.",
        epilog='Example: python -m tinytx sample runs/gpt --prompt "The " --tokens 500 --temperature 0.7 --top-k 20',
    )
    parser.add_argument("dir", metavar="DIR", help="folder of a run, which holds checkpoint.npz")
    parser.add_argument("--prompt", help="text to continue (default: a line break, if the model knows one)")
    parser.add_argument("--tokens", type=int, default=500, help="characters to write (default: %(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="0 takes the likeliest, 1 samples (default: %(default)s)"
    )
    parser.add_argument("--top-k", type=int, default=None, help="sample among the k likeliest only")
    parser.add_argument(
        "--top-p", type=float, default=None, help="sample among the likeliest that hold this much probability only"
    )
    parser.add_argument("--stop", metavar="CHARACTERS", help="end after the first of these characters")
    parser.add_argument("--seed", type=int, default=None, help="for the same text every time")
    parser.set_defaults(run=run)


def default_prompt(tokenizer):
    """Return a line break, or the first character of a vocabulary without one."""
    return "\n" if "\n" in tokenizer.characters else tokenizer.characters[0]


def run(arguments):
    """Print the prompt and its continuation."""
    for name in ("tokens", "seed"):
        value = getattr(arguments, name)
        if value is not None and value < 0:
            raise ValueError(f"--{name} is {value}, expected at least 0")
    if not 0 <= arguments.temperature < math.inf:
        raise ValueError(f"--temperature is {arguments.temperature:g}, expected a number of at least 0")
    if arguments.top_k is not None and arguments.top_k < 1:
        raise ValueError(f"--top-k is {arguments.top_k}, expected at least 1; leave it out for all characters")
    if arguments.top_p is not None and not 0 < arguments.top_p <= 1:
        raise ValueError(f"--top-p is {arguments.top_p:g}, expected a number in (0, 1]; 1 takes all characters")
    if arguments.prompt == "":
        raise ValueError("--prompt is empty: give at least one character to continue")
    if arguments.stop == "":
        raise ValueError("--stop is empty: give the characters to end after, or leave it out")
    model, tokenizer = load_run(arguments.dir, ("gpt",))
    prompt = known_form(tokenizer, arguments.prompt or default_prompt(tokenizer))
    ids = encode_known(tokenizer, prompt, "--prompt")
    stop = None
    if arguments.stop is not None:
        stop = encode_known(tokenizer, known_form(tokenizer, arguments.stop), "--stop")
    tokens = generate(
        model,
        ids[None],
        arguments.tokens,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        stop=stop,
        rng=np.random.default_rng(arguments.seed),
    )
    sys.stdout.write(prompt)
    for token in tokens:
        sys.stdout.write(tokenizer.decode(token))
        sys.stdout.flush()
    print()
