"""The from-scratch tutorial's BERT (Whiax, BERT-Transformer-Pytorch) in plain PyTorch, and its script's step."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class TutorialLayer(nn.Module):
    """Pre-norm; one linear map makes queries, keys and values; ReLU; nothing is masked."""

    def __init__(self, d, n_heads, d_ff, dropout=0.0, fused=False):
        super().__init__()
        self.n_heads, self.fused, self.dropout = n_heads, fused, nn.Dropout(dropout)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.linear1, self.linear2 = nn.Linear(d, d_ff), nn.Linear(d_ff, d)

    def attention(self, x):
        q, k, v = (part.unflatten(2, (self.n_heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout.p if self.training else 0.0)
        else:
            y = self.dropout(torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)) @ v
        return self.out(y.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm1(x)))
        hidden = self.dropout(torch.relu(self.linear1(self.norm2(x))))
        return x + self.dropout(self.linear2(hidden))


class Tutorial(nn.Module):
    """The encoder, from its description.

    Parameters
    ----------
    config : BertConfig
        `BertConfig.tutorial`, with whatever sizes.
    dropout : float
    fused : bool
        PyTorch's own attention in place of the script's products and softmax.
    """

    def __init__(self, config, dropout=0.0, fused=False):
        super().__init__()
        d = config.d_model
        self.embeddings = nn.Embedding(config.vocab_size, d)
        layers = (TutorialLayer(d, config.n_heads, config.d_ff, dropout, fused) for _ in range(config.n_layers))
        self.layers = nn.ModuleList(layers)
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, config.vocab_size, bias=False)
        self.register_buffer("positions", torch.tensor(doubled_sinusoids(config.max_len, d)), persistent=False)

    def hidden(self, ids):
        """Return (B, T, D): what goes into the head."""
        x = self.embeddings(ids)
        x = x + self.positions[: ids.shape[1]].to(x.dtype)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, ids):
        return self.head(self.hidden(ids))

    def load_ours(self, arrays):
        """Take the weights of a `tinytx.models.Bert` in `tinytx.tasks.HiddenWords`: its ``state_dict()``."""
        theirs = {"embeddings.weight": arrays["body.encoder.token.weight"], "head.weight": arrays["head.weight"].T}
        theirs |= {f"norm.{kind}": arrays[f"body.encoder.norm.{kind}"] for kind in ("weight", "bias")}
        for i in range(len(self.layers)):
            block = f"body.encoder.blocks.{i}."
            for kind in ("weight", "bias"):
                three = [arrays[f"{block}attention.f.{name}.{kind}"].T for name in ("query", "key", "value")]
                theirs[f"layers.{i}.qkv.{kind}"] = np.concatenate(three)
                for name, path in (("out", "attention.f.output"), ("norm1", "attention.norm")):
                    theirs[f"layers.{i}.{name}.{kind}"] = arrays[f"{block}{path}.{kind}"].T
                for name, path in (("linear1", "f.expand"), ("linear2", "f.contract"), ("norm2", "norm")):
                    theirs[f"layers.{i}.{name}.{kind}"] = arrays[f"{block}feed_forward.{path}.{kind}"].T
        self.load_state_dict({name: torch.tensor(array) for name, array in theirs.items()})


def doubled_sinusoids(t, d):
    """Return the table of positions (T, D) as the script fills it."""
    table = np.empty((t, d))
    for pos in range(t):
        for i in range(0, d, 2):
            table[pos, i] = np.sin(pos / 10000 ** (2 * i / d))
            table[pos, i + 1] = np.cos(pos / 10000 ** (2 * (i + 1) / d))
    return table


class TutorialTrainer:
    """The script's step: the head says every word, the loss leaves out what was not hidden, Adam has its own decay.

    Parameters
    ----------
    model : Tutorial
    lr, weight_decay : float
    hidden_only : bool
        Only the hidden words go through the head: what the script does not do, and could.
    """

    def __init__(self, model, lr, weight_decay, hidden_only=False):
        self.model, self.hidden_only = model.train(), hidden_only
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)

    def step(self, ids, targets):
        """Take one step on integers (B, T); return the loss before it."""
        ids, targets = torch.from_numpy(ids), torch.from_numpy(targets)
        if self.hidden_only:
            hidden = targets != -100
            logits, targets = self.model.head(self.model.hidden(ids)[hidden]), targets[hidden]
        else:
            logits, targets = self.model(ids).flatten(0, 1), targets.flatten()
        loss = F.cross_entropy(logits, targets, ignore_index=-100)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()
