"""How a text is generated: what a call asks, or else what the model's folder says, or else defaults.

Folders of Hugging Face hold settings of transformers' ``generate``, in generation_config.json or, in older ones, in
config.json: how many beams a summary is searched with, which token it begins with, how long it is at least.
"""

import warnings

from tinytx.decoding.rules import (
    bad_words,
    forced_first,
    forced_last,
    min_length,
    min_new_tokens,
    no_repeated_ngrams,
    renormalised,
    repetition_penalty,
)

RULES = {  # settings, in the order in which transformers applies them: their rules, and the value that is no rule
    "repetition_penalty": (repetition_penalty, 1.0),
    "no_repeat_ngram_size": (no_repeated_ngrams, 0),
    "bad_words_ids": (bad_words, []),
    "min_length": (min_length, 0),
    "min_new_tokens": (min_new_tokens, 0),
    "forced_bos_token_id": (forced_first, None),
    "forced_eos_token_id": (forced_last, None),
    "renormalize_logits": (lambda asked: renormalised, False),
}
NOT_OBEYED = {  # settings that change what is written, and the values that do not
    "diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1.0, "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0, "exponential_decay_length_penalty": None, "guidance_scale": 1.0, "min_p": 0.0, "num_beam_groups": 1,
    "penalty_alpha": 0.0, "sequence_bias": None, "suppress_tokens": None, "begin_suppress_tokens": None, "typical_p": 1.0,
}  # fmt: skip
SEARCH = {"num_beams": 1, "length_penalty": 1.0, "early_stopping": False, "eos_token_id": None}  # with their defaults


def said_by(model):
    """Return the settings in the folder that a model was read from; {} of another model.

    A stop token that the model does not have is left out: a small model may name that of a large vocabulary.
    """
    body = getattr(model, "body", model)
    said = getattr(body, "generation", None) or getattr(body, "published", {})
    stops = said.get("eos_token_id")
    stops = stops if isinstance(stops, list) else [stops]
    stops = [stop for stop in stops if isinstance(stop, int) and stop < model.vocab_size]
    return {name: value for name, value in (said | {"eos_token_id": stops or None}).items() if value is not None}


def settled(place, model, defaults, asked):
    """Return {setting: value} of a call, with `rules` of it.

    Parameters
    ----------
    place : str
        For messages.
    model : Task
    defaults : dict
        The settings that a call may have beside `RULES` and `SEARCH`.
    asked : dict
        None is what is not asked.

    Raises
    ------
    TypeError
        If there is no such setting.
    """
    defaults = SEARCH | defaults | {name: none for name, (_, none) in RULES.items()}
    for name in asked:
        if name not in defaults:
            raise TypeError(f"{place}: there is no setting {name!r:.60}, expected some of {', '.join(sorted(defaults))}")
    said = said_by(model)
    left = [name for name, none in NOT_OBEYED.items() if said.get(name, none) not in (none, None)]
    if left:
        warnings.warn(f"{place}: the model's folder says {', '.join(left)}, which tinytx does not know: texts may differ from "
                      "those of transformers", stacklevel=4)  # fmt: skip
    asked = {name: value for name, value in asked.items() if value is not None}
    return defaults | {name: said[name] for name in defaults if name in said} | asked | {"rules": rules_of(model, asked)}


def rules_of(model, asked=()):
    """Return the rules of a call, as `tinytx.decoding.rules` has them.

    A folder's smallest length gives way where fewer tokens are asked; that of a call does not.
    """
    settings, rules = said_by(model) | dict(asked), []
    for name, (rule_of, none) in RULES.items():
        value = settings.get(name, none)
        if value != none:
            gives_way = name.startswith("min_") and name not in asked
            rules.append(_within_limit(rule_of, value) if gives_way else rule_of(value))
    return rules


def _within_limit(rule_of, n):
    def rule(past, scores):
        most = past.n_tokens + (past.n_first if rule_of is min_length else 0)
        return rule_of(min(n, most))(past, scores)

    return rule


def beam_of(settings, n_best):
    """Return the settings of `tinytx.decoding.beam_search` that does what transformers does."""
    return {
        "beam_size": settings["num_beams"], "alpha": settings["length_penalty"], "penalty": "length", "n_best": n_best,
        "early_stopping": settings["early_stopping"], "greedy": False,
    }  # fmt: skip
