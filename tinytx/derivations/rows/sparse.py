r"""Some of many: the experts that a token is sent to, and the keys that a query sees."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.lsh_attention import lsh_buckets

LOGITS = {"a": "logits tokens i", "E": "experts tokens n"}
EXPERTS, EXPERTS_EXAMPLE = {"tokens": 4, "i": 5, "n": 2}, {"tokens": 2, "i": 3, "n": 2}


def _draw_experts(values, rng):
    """Those of the largest logits."""
    values["E"] = np.argsort(-values["a"], axis=1)[:, : values["E"].shape[1]]


def _route(title, renormalise, without):
    """Return the scene with or without renormalised weights."""

    def run(values, forward, backward):
        w, saved = forward(values["a"], values["E"].shape[1], renormalise=renormalise)
        return {"w": w, "da": backward(values["dw"], saved), "saved": saved}

    return Scene(
        LOGITS, {"w": "tokens n"}, EXPERTS, EXPERTS_EXAMPLE, ranges={"i": "i"}, draw=_draw_experts, run=run, title=title,
        without=frozenset(without),
    )  # fmt: skip


def _run_balance(values, forward, backward):
    """A batch of one text."""
    b, saved = forward(values["a"][None], values["E"][None])
    return {"b": b[0], "da": backward(values["db"][None], saved)[0], "saved": saved}


def _sparse(kind, stride, axis, sizes, example):
    """Return the scene of one kind of pattern; ``axis`` is that of the keys of the second set."""

    def draw(values, rng):
        n = len(values["N"])
        t, s = np.arange(n)[:, None], np.arange(n)
        if kind == "strided":
            near, far = t - s < stride, (t - s >= stride) & ((t - s) % stride == 0)
            values["a"] = values["b"] = np.argsort(s % stride, kind="stable")
        else:
            near, far = t // stride == s // stride, (s // stride < t // stride) & (s % stride == stride - 1)
            values["a"], values["b"] = s, s[s % stride == stride - 1]
        values["N"], values["F"] = (near & (s <= t)).astype(float), far.astype(float)
        values["F'"] = values["F"][values["a"]][:, values["b"]]

    def run(values, forward, backward):
        q, k, v = (values[name][None] for name in "qkv")
        y, saved = forward(q, k, v, kind=kind, stride=stride, scale=values["c"])
        return {"y": y[0], "saved": saved} | {f"d{name}": x[0] for name, x in zip("qkv", backward(values["dy"][None], saved))}

    names = {
        "q": "q heads t i", "k": "k heads t i", "v": "v heads t j", "c": "scale", "N": "N t t", "F": "F t t", "a": "a t",
        "b": f"b {axis}", "F'": f"F' t {axis}",
    }  # fmt: skip
    return Scene(names, {"y": "heads t j"}, sizes, example, given={"c": 0.7}, draw=draw, run=run, title=kind)


def _draw_meetings(values, rng):
    """Buckets, and who meets whom in chunks of two, among earlier places."""
    heads, rounds, t = values["b"].shape
    half = values["R"][..., : values["R"].shape[3] // 2]
    values["R"] = np.concatenate([half, -half], axis=3)
    values["b"] = lsh_buckets(values["q"][None], half.swapaxes(1, 2))[0]
    values["N"], chunks = np.zeros((heads, rounds, t, t)), t // 2
    for head, places in enumerate(np.argsort(values["b"], axis=2, kind="stable").reshape(heads, -1, 2)):
        for i, own in enumerate(places):
            for others in (places[i - 1], own):
                values["N"][head, i // chunks, own[:, None], others] += 1
    values["N"] *= np.tri(t, k=-1)


def _run_lsh_attention(values, forward, backward):
    y, saved = forward(*(values[name][None] for name in "qkvb"), chunk=2, scale=values["c"])
    return {"y": y[0], "saved": saved} | {f"d{name}": x[0] for name, x in zip("qkv", backward(values["dy"][None], saved))}


def _draw_window(values, rng):
    """A window of every second place, one on each side; the global places ascend."""
    n, n_global = len(values["g"]), len(values["p"])
    values["p"] = np.sort(rng.permutation(n)[:n_global])
    values["g"] = np.isin(np.arange(n), values["p"]).astype(float)
    values["N"] = np.isin(np.arange(n) - np.arange(n)[:, None], (-2, 0, 2)) * (1 - values["g"])


def _run_window(values, forward, backward):
    names = ("q", "k", "v", "q'", "k'", "v'")
    arrays = [values[name][None] for name in names]
    y, saved = forward(*arrays, values["g"][None] > 0, left=1, right=1, dilation=2, scale=values["c"])
    return {"y": y[0], "saved": saved} | {f"d{name}": x[0] for name, x in zip(names, backward(values["dy"][None], saved))}


TABLE = {
    "global_window_attention": Row([
        Scene(
            {
                "q": "q heads t i", "k": "k heads t i", "v": "v heads t j", "q'": "q_global heads u i", "k'": "k_global heads t i",
                "v'": "v_global heads t j", "c": "scale", "g": "is_global t", "p": "places u", "N": "N t t",
            },
            {"y": "heads t j"}, {"heads": 2, "u": 3, "i": 4, "j": 5, "t": 7}, {"heads": 1, "u": 1, "i": 1, "j": 1, "t": 3},
            given={"c": 0.7}, draw=_draw_window, run=_run_window,
        ),
    ]),
    "sparse_attention": Row([
        _sparse("strided", 2, "t", {"heads": 2, "t": 5, "i": 3, "j": 4}, {"heads": 1, "t": 3, "i": 1, "j": 1}),
        _sparse("fixed", 3, "r", {"heads": 3, "t": 7, "r": 2, "i": 4, "j": 5}, {"heads": 1, "t": 4, "r": 1, "i": 1, "j": 1}),
    ]),
    "lsh_attention": Row([
        Scene(
            {
                "q": "q heads t i", "k": "k heads t i", "v": "v heads t j", "c": "scale", "R": "rotations heads r i l",
                "b": "buckets heads r t", "N": "N heads r t t",
            },
            {"y": "heads t j"}, {"heads": 2, "r": 3, "t": 6, "i": 4, "j": 5, "l": 8},
            {"heads": 1, "r": 2, "t": 4, "i": 1, "j": 1, "l": 2},
            given={"c": 0.7}, draw=_draw_meetings, run=_run_lsh_attention,
        ),
    ]),
    "route": Row([
        _route("shares of all", False, (2, 4, 5, 6)),
        _route("renormalised", True, (1, 3, 5, 6)),
        Scene(
            LOGITS, {"b": ""}, EXPERTS, EXPERTS_EXAMPLE, counts={"X": "i", "T": "tokens"}, ranges={"i": "i"}, draw=_draw_experts,
            run=_run_balance, title="balance", without=frozenset({1, 2, 3, 4}), function="balance",
        ),
    ]),
}  # fmt: skip
