"""The losses in PyTorch: part of the oracles of `test_oracle_ops`."""

import torch

F = torch.nn.functional


def cross_entropy(case):
    facts = {"ignore_index": -100, "label_smoothing": 0.0, "count": None} | case.facts
    targets = torch.tensor(facts.pop("targets"))
    count = facts.pop("count") or max(int((targets != facts["ignore_index"]).sum()), 1)
    return lambda logits: F.cross_entropy(logits.mT, targets, reduction="sum", **facts) / count


def linear_cross_entropy(case):
    case.facts.pop("chunk")
    loss = cross_entropy(case)
    return lambda x, weight: loss(x @ weight)


def kl_divergence(case):
    """``KLDivLoss`` on a target distribution written out, as the Annotated Transformer's LabelSmoothing has it."""
    targets, pad_id, smoothing = (case.facts[name] for name in ("targets", "pad_id", "label_smoothing"))
    count = case.facts["count"] or max((targets != pad_id).sum(), 1)

    def loss(logits):
        q = torch.full(logits.shape, smoothing / (logits.shape[-1] - 2), dtype=logits.dtype)
        q.scatter_(-1, torch.tensor(targets)[..., None], 1 - smoothing)
        q[..., pad_id] = 0
        q[torch.tensor(targets == pad_id)] = 0
        return torch.nn.KLDivLoss(reduction="sum")(F.log_softmax(logits, -1), q) / count

    return loss


def logistic_rows(case):
    rows, labels = (torch.tensor(case.facts[name]) for name in ("rows", "labels"))

    def loss(h, table):
        asked, scores = rows >= 0, (h[:, None] * table[rows.clamp(min=0)]).sum(-1)
        total = F.binary_cross_entropy_with_logits(scores[asked], labels[asked].to(h.dtype), reduction="sum")
        return total / (case.facts["count"] or len(h))

    return loss


def glove_loss(case):
    i, j = (torch.tensor(case.facts[name]) for name in ("words", "contexts"))

    def loss(w, c, bias_w, bias_c):
        x = torch.tensor(case.facts["x"]).to(w.dtype)
        f = torch.where(x < case.facts["x_max"], (x / case.facts["x_max"]) ** case.facts["alpha"], 1.0)
        error = torch.einsum("nd,nd->n", w[i], c[j]) + bias_w[i] + bias_c[j] - torch.log(x)
        return (f * error**2).sum() / (case.facts["count"] or len(x))

    return loss


def tsne(case):
    """The divergence as its definition has it; what exaggeration adds is written out."""
    p, exaggeration = (torch.tensor(case.facts[name]) for name in ("p", "exaggeration"))

    def loss(y):
        off_diagonal = ~torch.eye(len(y), dtype=torch.bool)
        pairs = p.to(y.dtype)[off_diagonal]
        w = 1 / (1 + ((y[:, None] - y) ** 2).sum(-1)[off_diagonal])
        divergence = F.kl_div(torch.log(w / w.sum()), pairs, reduction="sum")
        return divergence - (exaggeration - 1).to(y.dtype) * (pairs * torch.log(w)).sum()

    return loss


def binary_cross_entropy(case):
    def reference(logits):
        targets = torch.tensor(case.facts["targets"])
        counts = targets != case.facts["ignore_index"]
        loss = F.binary_cross_entropy_with_logits(logits[counts], targets[counts].to(logits.dtype), reduction="sum")
        return loss / (case.facts["count"] or counts.sum())

    return reference


def soft_cross_entropy(case):
    """PyTorch's cross-entropy takes a distribution as its target, too."""

    def reference(scores):
        g, mask = torch.tensor(case.facts["distribution"], dtype=scores.dtype), case.facts["mask"]
        allowed = torch.tensor(True if mask is None else mask) & (g.sum(-1, keepdim=True) > 0)
        scores = torch.where(allowed, scores, -1e4).flatten(0, 1)  # e^-1e4 is 0
        loss = F.cross_entropy(scores, g.flatten(0, 1), reduction="sum")
        return loss / (case.facts["count"] or (g.sum(-1) > 0).sum())

    return reference


LOSSES = {
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "kl_divergence": kl_divergence,
    "logistic_rows": logistic_rows,
    "glove_loss": glove_loss,
    "tsne": tsne,
    "binary_cross_entropy": binary_cross_entropy,
    "soft_cross_entropy": soft_cross_entropy,
}
