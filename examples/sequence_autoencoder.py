"""Is it better to have learned the next word, or to have learned to say a text again? (Dai and Le 2015, arXiv:1511.01432)

    python examples/sequence_autoencoder.py --data FOLDER

FOLDER holds the three files of `examples/ulmfit.py`, of which the film reviews are read here.

A sequence autoencoder (SA-LSTM) reads a text, and then says it: all that it knows of the text at this point is its state.
In the paper both halves have the same weights. So it is a language model that reads each text twice, and is asked for the
words of the second time alone:

    read        [CLS] a fine film [SEP] a    fine film
    asked for     -   -  -    -     a   fine film [SEP]

Then the same LSTMs learn from 500 labels which reviews stand as written and which have their words shuffled, or which
praise their film. They begin as they were drawn, from a language model of the reviews (LM-LSTM), or from the autoencoder.
The last two took as many steps, with as many texts in each. Layers are thawed one after the other, with rates by depth, as
in ULMFiT; or all learn at once with one rate, as in the paper. The mean of three seeds, judged on 1,066 reviews that were
not read, after six minutes of processor time:

                                 as written?    praises its film?
    from scratch                    0.545            0.611
    LM-LSTM                         0.909            0.572
    LM-LSTM, all at once            0.764            0.604
    SA-LSTM                         0.909            0.549
    SA-LSTM, all at once            0.831            0.602

Where layers are thawed, both beginnings are worth the same. Where all learn at once, which moves a body further away from
what it was, order is told better by what began as an autoencoder (0.81 to 0.85 for the three seeds; 0.71, 0.71 and 0.87 for
the language model). Whether a review praises its film is told no better than from scratch, whatever was read before.

But this autoencoder has not learned to remember. A word that it has read before costs it as much as the language model pays
for one that it has not: perplexity 124.5 and 124.2 of held-out reviews. In so few steps it becomes a language model, too.
With --steps 1200 the two are 108.6 and 119.5: it begins to say again what it has read. Then the language model is as good a
beginning for order, 0.929 and the autoencoder 0.927, or all at once a better one, 0.902 and 0.887. The paper's have 1,024
cells and far more steps, and there the autoencoder is a little better than the language model.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
from ulmfit import AT_ONCE, NAMES, QUESTIONS, SEEDS, classified, make_up

from tinytx.data import IGNORE_INDEX
from tinytx.progress import say
from tinytx.recipes import load_recipe
from tinytx.recipes.train import trained
from tinytx.tasks import NextToken

BODIES = {"LM-LSTM": False, "SA-LSTM": True}  # name -> whether it reads each text twice
VARIANTS = {  # name -> (the body that it begins from, settings of the classifier)
    "from scratch": (None, AT_ONCE),
    "LM-LSTM": ("LM-LSTM", {}),
    "LM-LSTM, all at once": ("LM-LSTM", AT_ONCE),
    "SA-LSTM": ("SA-LSTM", {}),
    "SA-LSTM, all at once": ("SA-LSTM", AT_ONCE),
}


def next_words(ids, pad_id, twice):
    """Return (inputs, targets) that ask for the next word of texts, or for their words the second time they are read.

    Parameters
    ----------
    ids : integers (B, T)
        Texts between [CLS] and [SEP], and padding.
    pad_id : int
    twice : bool

    Returns
    -------
    inputs, targets : integers (B, T') and (B, T')
        Targets are ``IGNORE_INDEX`` where nothing is asked.
    """
    texts = [row[row != pad_id] for row in ids]
    read = [np.concatenate([text, text[1:]]) if twice else text for text in texts]
    shape = len(ids), max(map(len, read)) - 1
    inputs, targets = np.full(shape, pad_id), np.full(shape, IGNORE_INDEX)
    for text, words, into, asked in zip(texts, read, inputs, targets):
        n, first = len(words) - 1, len(text) - 1 if twice else 0  # the last word before the second time is [SEP]
        into[:n], asked[first:n] = words[:-1], words[first + 1 :]
    return inputs, targets


def pretrained(recipe, flags, steps, twice):
    """Return the task after so many steps on the reviews, and its measures of the held-out ones."""

    def prepare(settings, before):
        prepared = recipe.prepare(settings, before)
        pad_id = prepared.kept.tokenizer.pad_id
        return prepared._replace(
            batch=lambda step: next_words(prepared.batch(step)[0], pad_id, twice),
            validation=[next_words(ids, pad_id, twice) for ids, _ in prepared.validation],
            task_settings={},
            groups=None,
        )

    own = dataclasses.replace(recipe, task=NextToken, prepare=prepare)
    stages = {"general_steps": 0, "text_steps": steps, "steps": steps}
    trainer, prepared = trained(own, flags | stages, label="SA-LSTM" if twice else "LM-LSTM")
    return trainer.model, trainer.model.measure(prepared.validation)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the three files (default: data)")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=400, help="of the language model, and of the autoencoder (default: 400)")
    parser.add_argument("--quick", action="store_true", help="a few steps on a few lines of built-in text: shows that it runs, and no more")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.data = Path(tempfile.mkdtemp())
        make_up(arguments.data)
    files = {name: str(arguments.data / file) for name, file in NAMES.items()}
    missing = [path for path in files.values() if not Path(path).exists()]
    if missing:
        sys.exit(f"there is no {missing[0]}: name the folder of the three files by --data")
    recipe = load_recipe("ulmfit")
    flags, steps = files | {"threads": arguments.threads}, 256
    if arguments.quick:
        flags, steps, arguments.steps = flags | {"d_model": 6, "d_hidden": 8, "labelled": 20}, 4, 2
    models = {None: None}
    for name, twice in BODIES.items():
        models[name], measured = pretrained(recipe, flags, arguments.steps, twice)
        asked = "a word of a text that it has just read" if twice else "the next word"
        print(f"{name}: perplexity {measured['perplexity']:.1f} of {asked}", flush=True)
    for asks, question in QUESTIONS.items():
        print(f"{question:34}{'accuracy':>9}{'from':>7}{'to':>7}")
        for name, (begins, options) in VARIANTS.items():
            say(f"{question} {name}")
            own = flags | options | {"asks": asks, "steps": steps}
            found = [classified(recipe, own | {"seed": seed}, models[begins]) for seed in SEEDS]
            print(f"  {name:32}{np.mean(found):9.3f}{min(found):7.3f}{max(found):7.3f}", flush=True)


if __name__ == "__main__":
    main()
