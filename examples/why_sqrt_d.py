"""Why attention divides its scores by the square root of d.

    python examples/why_sqrt_d.py --out why_sqrt_d.png

A score is q . k = sum_j q_j k_j. If the 2 d numbers are independent, with mean 0 and variance 1, each product q_j k_j has
mean 0 and variance 1, so the score has variance d, and a standard deviation of sqrt(d) (Vaswani et al. 2017,
arXiv:1706.03762, footnote 4). The softmax of large scores is nearly one-hot: the largest of them takes all. And it hardly
learns, since its Jacobian, diag(p) - p p^T, is 0 where p is one-hot. Scores divided by sqrt(d) have variance 1 for every d.

Here 64 keys and each of 500 queries are drawn from a normal distribution. "raw" is the softmax of q . k, "scaled" that of
q . k / sqrt(d); the Jacobian is what `tinytx.ops.softmax_backward` makes of the 64 unit vectors, and its norm is the root of
the sum of its squared entries. Means over the queries:

         d  deviation of q.k  entropy raw, scaled  largest weight raw, scaled  Jacobian raw, scaled
         4               2.1           2.85, 3.70                  0.25, 0.10            0.26, 0.18
        16               4.0           1.29, 3.66                  0.60, 0.12            0.29, 0.19
        64               8.0           0.58, 3.68                  0.79, 0.11            0.22, 0.18
       256              16.1           0.27, 3.68                  0.89, 0.11            0.13, 0.18
     1,024              31.9           0.14, 3.68                  0.94, 0.11            0.08, 0.18

The entropy of 64 equal weights is ln 64 = 4.16. Without the division the gradient of the scores shrinks as d grows: that is what
sqrt(d) is for. d is the width of a head: with d_model in its place, as some programs have it, scores of H heads are too
small by sqrt(H), and their weights too equal.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx import ops
from tinytx.viz import style

WIDTHS = 4, 16, 64, 256, 1024
KEYS, QUERIES = 64, 500
PANELS = {  # column: title of its panel, what the axis says
    "entropy": ("The weights become one-hot", "entropy of the weights"),
    "largest": ("One key takes all", "largest weight"),
    "jacobian": ("The gradient shrinks", "norm of the softmax's Jacobian"),
}


def measured(scores):
    """Return the mean entropy and largest weight of the softmax of scores (N, S), and the mean norm of its Jacobian."""
    p, _ = ops.softmax(scores)
    n = scores.shape[1]
    _, saved = ops.softmax(np.repeat(scores[:, None], n, axis=1))
    jacobian = ops.softmax_backward(np.broadcast_to(np.eye(n), (len(scores), n, n)).copy(), saved)
    logs = np.log(p, where=p > 0, out=np.zeros_like(p))
    norms = np.sqrt((jacobian**2).sum(axis=(1, 2)))
    return {"entropy": -(p * logs).sum(axis=1).mean(), "largest": p.max(axis=1).mean(), "jacobian": norms.mean()}


def row(d, n_queries, rng):
    """Return what is measured at width d: {"deviation": , "raw": {...}, "scaled": {...}}."""
    scores = rng.normal(size=(n_queries, d)) @ rng.normal(size=(KEYS, d)).T
    return {"deviation": scores.std(), "raw": measured(scores), "scaled": measured(scores / np.sqrt(d))}


def draw(rows, path):
    """Draw a panel for each of ``PANELS``: raw and scaled over d."""
    figure = style.new_figure("drawing what scaling does", 12, 3.9, layout="constrained")
    for axes, (column, (title, label)) in zip(figure.subplots(1, len(PANELS)), PANELS.items()):
        lines = []
        for name, text, color in (("scaled", "q . k / sqrt(d)", style.OURS), ("raw", "q . k", style.SERIES[1])):
            found = [row[name][column] for row in rows.values()]
            lines.append((text, axes.plot(list(rows), found, "o-", color=color, markersize=4)[0]))
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(rows), [f"{d:,}" for d in rows])
        axes.minorticks_off()
        axes.set(xlabel="d, the width of a head", ylabel=label, ylim=(0, None))
        style.write_title(axes, title)
        style.write_legend(axes, lines, fontsize=style.SMALL)
        style.tidy(axes)
    style.save(figure, path, 110)


def main():
    """Measure, print the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="why_sqrt_d.png", metavar="FILE", help="the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 queries: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    rng = np.random.default_rng(arguments.seed)
    rows = {d: row(d, 20 if arguments.quick else QUERIES, rng) for d in WIDTHS}
    print("     d  deviation of q.k  entropy raw, scaled  largest weight raw, scaled  Jacobian raw, scaled")
    for d, found in rows.items():
        pairs = [f"{found['raw'][column]:.2f}, {found['scaled'][column]:.2f}" for column in PANELS]
        print(f"{d:6,}  {found['deviation']:16.1f}  {pairs[0]:>19}  {pairs[1]:>26}  {pairs[2]:>20}")
    draw(rows, arguments.out)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
