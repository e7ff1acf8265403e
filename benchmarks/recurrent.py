"""A training step of recurrent nets over characters, against torch.nn's in the same run: forward, backward, clipping, AdamW.

    python benchmarks/recurrent.py --json recurrent.json

Both sides have the same weights, batch, optimiser and number of threads, and the same loss, which is compared; each is
a process of its own, and they take turns (turns.py). Where ours has one bias and PyTorch two, the second is 0 and stays so.
"""

import itertools
import time

import numpy as np
import turns
from sides import ours, torch_trainer

CELLS = ("RNN", "GRU", "LSTM")
SHAPES = {  # embedding, state, layers, rows, characters of a row
    "small": (32, 64, 1, 64, 20),
    "recipe": (64, 256, 1, 32, 64),
    "char-rnn": (64, 128, 2, 50, 50),
    "large": (64, 512, 2, 32, 64),
}
VOCAB_SIZE = 65


def make_model(cell, shape):
    """Return the library's model of a cell and a shape, the same each time."""
    from tinytx.models import CharRNN, CharRNNConfig
    from tinytx.tasks import NextToken

    d, r, n_layers, *_ = SHAPES[shape]
    config = CharRNNConfig(VOCAB_SIZE, d_embedding=d, d_model=r, n_layers=n_layers, cell=cell.lower())
    return NextToken.around(CharRNN, config, rng=np.random.default_rng(0))


def torch_side(model, threads):
    """Return PyTorch's trainer, from the same weights."""
    import torch
    import torch.nn.functional as F


    class Rival(torch.nn.Module):
        def __init__(self, config):
            super().__init__()
            self.token = torch.nn.Embedding(config.vocab_size, config.d_embedding)
            self.cell = getattr(torch.nn, config.cell.upper())(config.d_embedding, config.d_model, config.n_layers, batch_first=True)
            self.head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)

        def forward(self, ids, targets):
            return F.cross_entropy(self.head(self.cell(self.token(ids))[0]).flatten(0, 1), targets.flatten())

    rival, weights = Rival(model.config), {path: torch.tensor(array) for path, array in model.state_dict().items()}
    with torch.no_grad():
        rival.token.weight.copy_(weights["body.token.weight"])
        rival.head.weight.copy_(weights["head.weight"].T)
        for n in range(model.config.n_layers):
            own = {path.split(".")[-1]: array for path, array in weights.items() if path.startswith(f"body.recurrent.layers.{n}.")}
            for theirs, name in (("ih", "x"), ("hh", "h")):
                getattr(rival.cell, f"weight_{theirs}_l{n}").copy_(own[f"weight_{name}"].T)
                bias = own.get(f"bias_{name}", own["bias"] if "bias" in own and name == "x" else None)
                if bias is None:
                    getattr(rival.cell, f"bias_hh_l{n}").zero_().requires_grad_(False)
                else:
                    getattr(rival.cell, f"bias_{theirs}_l{n}").copy_(bias)
    return torch_trainer(rival, threads)


def child(side, cell, shape, threads):
    """Answer a number of steps with milliseconds for one, and the loss."""
    model, (*_, rows, length) = make_model(cell, shape), SHAPES[shape]
    step = (ours if side == "ours" else torch_side)(model, threads).step
    batch = tuple(np.random.default_rng(1).integers(0, VOCAB_SIZE, (2, rows, length)))

    def answer(n):
        began = time.perf_counter()
        for _ in range(n):
            loss = step(*batch)
        return {"ms": (time.perf_counter() - began) / n * 1e3, "loss": loss}

    turns.serve(answer)


def main():
    """Run the cells and shapes, print the table, and write the JSON."""
    parser = turns.parser(__doc__, seconds=1, quick="--cells GRU --shapes small --turns 1 --seconds 0")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.cells[0], arguments.shapes[0], arguments.threads)
    sides, env, figures = ["ours", *turns.rivals(["torch"], "torch")], turns.environment(arguments.keep_env), {}
    turns.describe(arguments.threads, sides, env)
    for cell, shape in itertools.product(arguments.cells, arguments.shapes):
        options = ("--threads", arguments.threads, "--cells", cell, "--shapes", shape)
        with turns.running(__file__, sides, *options, env=env) as running:
            turns.take_turns(running.values(), 1, 3)
            turns.take_turns(running.values(), arguments.turns, turns.steps(running["ours"], arguments.seconds))
        row = figures[f"{cell} {shape}"] = {f"{name}_ms": side.median("ms") for name, side in running.items()}
        row["loss"] = {name: side.turns[-1]["loss"] for name, side in running.items()}
        turns.check_losses(row["loss"], 0.01)
        if "torch" in running:
            row["ratio"] = turns.ratio(running["torch"], running["ours"], "ms")
        times = ", ".join(f"{name} {row[f'{name}_ms']:.1f} ms" for name in sides)
        ratio = f", PyTorch / ours {row['ratio']:.2f}" if "ratio" in row else ""
        print(f"{cell:>4} {shape:>8}: {times}{ratio}", flush=True)
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
