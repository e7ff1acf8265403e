"""mixtral: the recipe gpt_modern with eight experts in each block, of which each character uses two.

A character passes through as many weights as in the recipe gpt_modern: two experts of half the width, in place of one
feed-forward layer. In so few steps that is as good and no better: the cross-entropy is 1.954 in place of 1.956, with 3.2 times
as many parameters, and a step takes about twice as long. The experts are used evenly: each gets 10.7 % to 14.6 % of its
layer's choices, of which an eighth is 12.5 %. One seed. The loss that a run prints also contains the balance, 0.08.
"""

import math
from dataclasses import replace

from tinytx.recipes import Expect, gpt, gpt_modern
from tinytx.recipes.recipe import measures_of_the_task
from tinytx.recipes.texts import SHAKESPEARE
from tinytx.settings import extended
from tinytx.viz.attention import watched

SETTINGS = extended(gpt_modern.SETTINGS, n_experts=8, d_ff=196)


def measure(model, prepared):
    """Return (cross-entropy without the balance, the largest and the smallest share of an expert; all shares by layer)."""
    shares = watched(model, "expert_shares", prepared.validation[0][0])
    every = [float(share) for layer in shares.values() for share in layer]
    surprise = math.log(measures_of_the_task(model, prepared)[0]["perplexity"])
    largest, smallest = max(every, default=1.0), min(every, default=1.0)
    return {"cross_entropy": surprise, "largest_share": largest, "smallest_share": smallest}, shares


def report(run, prepared, measured, shares):
    """Print how often each expert is chosen, and what the recipe gpt prints; return commands to try next."""
    print(f"Cross-entropy {measured['cross_entropy']:.4f} nats per character, without the balance of experts")
    for path, layer in shares.items():
        print(f"{path}: shares of the choices that fall on its experts: {', '.join(f'{share:.1%}' for share in layer)}")
    return gpt.report(run, prepared, measured, shares)


RECIPE = replace(
    gpt_modern.RECIPE,
    system="Mixtral",
    paper="arXiv:2401.04088",
    settings=SETTINGS,
    measure=measure,
    report=report,
    expect=Expect(cross_entropy=(1.954, 0.03), step=500, minutes=0.5, settings={"data": SHAKESPEARE}),
    about="Train a character-level Mixtral: the recipe gpt_modern with eight experts in each block, of which each character "
    "uses two. Its loss holds the experts in balance (--balance).",
)
