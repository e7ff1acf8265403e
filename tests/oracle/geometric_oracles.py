"""Operations on multivectors, and the squared error, in PyTorch: part of the oracles of `test_oracle_ops`."""

import motions
import torch

from tinytx.ops.multivector import BLADES

F = torch.nn.functional
EUCLIDEAN = [i for i, blade in enumerate(BLADES) if 0 not in blade]


def each(x):
    return x.unflatten(-1, (-1, 16))


def products(x, y):
    """The table of `motions`, from which tests of equivariance are made: the product of all pairs of blades."""
    table = torch.zeros(16, 16, 16, dtype=x.dtype)
    for k, i, j, sign in motions.TABLE:
        table[i, j, k] = sign
    return torch.einsum("ijk,...i,...j->...k", table, each(x), each(y))


def dual(x):
    """Reversed, with the signs that the authors' program has."""
    return x.flip(-1) * torch.tensor([1, -1, 1, -1, 1, 1, -1, 1, 1, -1, 1, -1, 1, -1, 1, 1], dtype=x.dtype)


def join(x, y, reference):
    """The outer product is the part of the product whose grade is the sum of both grades."""
    grade = torch.tensor(motions.GRADE)
    parts = [
        products((dual(each(x)) * (grade == a)).flatten(-2), (dual(each(y)) * (grade == b)).flatten(-2)) * (grade == a + b)
        for a in range(5) for b in range(5 - a)
    ]  # fmt: skip
    return reference.reshape(-1, *[1] * (x.ndim - 1)) * dual(sum(parts)).flatten(-2)


def equivariant_linear(x, weight, bias=None):
    """Nine products: of each grade, and of each grade with e0 before it."""
    x, grade, e0 = each(x), torch.tensor(motions.GRADE), torch.eye(16, dtype=x.dtype)[1]
    kept = [x * (grade == k) for k in range(5)]
    raised = [products(e0.expand(x.shape).flatten(-2), part.flatten(-2)) for part in kept[:4]]
    y = sum(torch.einsum("...ia,io->...oa", part, w) for part, w in zip(kept + raised, weight))
    return (y if bias is None else y + bias[:, None] * torch.eye(16, dtype=x.dtype)[0]).flatten(-2)


def equivariant_norm(x, eps):
    square = each(x)[..., EUCLIDEAN].square().sum(-1).mean(-1)
    return x / (square + eps).sqrt()[..., None]


def gated_gelu(x):
    return (F.gelu(each(x)[..., :1], approximate="tanh") * each(x)).flatten(-2)


def distance_features(x, of_keys=False, *, eps):
    t, w = each(x)[..., 11:14], each(x)[..., 14:15]
    p, v = t * w / (w * w + eps), w * w / (w * w + eps)
    length, square = p.square().sum(-1, keepdim=True), v.square()
    more = (-square, -length, 2 * v * p) if of_keys else (length, square, v * p)
    return torch.cat([each(x)[..., EUCLIDEAN], *more], -1).flatten(-2)


def displacement(x, origin):
    return torch.stack([-x[..., 13], x[..., 12], -x[..., 11]], -1) - x[..., 14:15] * origin


def squared_error(case):
    def loss(y):
        targets, count = torch.tensor(case.facts["targets"], dtype=y.dtype), case.facts["count"]
        return F.mse_loss(y, targets, reduction="sum") / (count or y[..., 0].numel())

    return loss


GEOMETRIC = {
    "geometric_product": lambda case: lambda x, y: products(x, y).flatten(-2),
    "join": lambda case: join,
    "equivariant_linear": lambda case: equivariant_linear,
    "equivariant_norm": lambda case: equivariant_norm,
    "gated_gelu": lambda case: gated_gelu,
    "distance_features": lambda case: distance_features,
    "displacement": lambda case: displacement,
    "squared_error": squared_error,
}
