"""The rival: the same GPT written for PyTorch, with its fused attention, started from the same weights."""

import torch
import torch.nn.functional as F
from torch import nn


class TorchBlock(nn.Module):
    """Pre-norm block, with dropout where nanoGPT has it: on attention's weights and on what either part adds."""

    def __init__(self, d, n_heads, dropout):
        super().__init__()
        self.n_heads, self.dropout = n_heads, nn.Dropout(dropout)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.output = nn.Linear(d, 3 * d), nn.Linear(d, d)  # one product for q, k and v, as in nanoGPT
        self.expand, self.contract = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.n_heads, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(d, dim=2))
        p = self.dropout.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)
        x = x + self.dropout(self.output(y.transpose(1, 2).reshape(b, t, d)))
        return x + self.dropout(self.contract(F.gelu(self.expand(self.norm2(x)), approximate="tanh")))


class TorchGPT(nn.Module):
    """GPT with a tied head."""

    def __init__(self, config):
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.max_len, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        blocks = (TorchBlock(config.d_model, config.n_heads, config.dropout) for _ in range(config.n_layers))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, ids, targets):
        x = self.dropout(self.token(ids) + self.position.weight[: ids.shape[1]])
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.token.weight.T
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))

    def load_ours(self, state):
        """Copy the weights of a `tinytx.models.GPT`'s state_dict; linear weights are transposed there."""
        own = dict(self.named_parameters())
        theirs = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
        with torch.no_grad():
            for name in ("token.weight", "position.weight", "norm.weight", "norm.bias"):
                own[name].copy_(theirs[name])
            for i in range(len(self.blocks)):
                at, ff = f"blocks.{i}.attention", f"blocks.{i}.feed_forward"
                for kind in ("weight", "bias"):
                    own[f"blocks.{i}.norm1.{kind}"].copy_(theirs[f"{at}.norm.{kind}"])
                    own[f"blocks.{i}.norm2.{kind}"].copy_(theirs[f"{ff}.norm.{kind}"])
                    qkv = [theirs[f"{at}.f.{part}.{kind}"].t() for part in ("query", "key", "value")]
                    own[f"blocks.{i}.qkv.{kind}"].copy_(torch.cat(qkv))
                    for mine, name in (("output", f"{at}.f.output"), ("expand", f"{ff}.f.expand")):
                        own[f"blocks.{i}.{mine}.{kind}"].copy_(theirs[f"{name}.{kind}"].t())
                    own[f"blocks.{i}.contract.{kind}"].copy_(theirs[f"{ff}.f.contract.{kind}"].t())


class TorchTrainer:
    """What `tinytx.training.Trainer` does, in PyTorch: clipping, AdamW with decay on matrices only, validation.

    Parameters
    ----------
    model : TorchGPT
    lr : float or function (int) -> float
        The learning rate, or one for each step 0, 1, ...
    betas, weight_decay, clip : as in `tinytx.training`
    compiled : bool
        Whether PyTorch's compiler translates the forward.
    """

    def __init__(self, model, lr, *, betas, weight_decay, clip, compiled=False):
        matrices = [p for p in model.parameters() if p.dim() > 1]
        others = [p for p in model.parameters() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.lr = lr if callable(lr) else lambda step: lr
        self.optimizer = torch.optim.AdamW(groups, lr=self.lr(0), betas=betas)
        self.model, self.clip, self.t = model, clip, 0
        self.forward = torch.compile(model) if compiled else model

    def _loss(self, ids, targets):
        return self.forward(torch.from_numpy(ids), torch.from_numpy(targets))

    def step(self, ids, targets):
        """Take one step on integers (B, T); return the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.t)
        loss = self._loss(ids, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.t += 1
        return loss.item()

    def evaluate(self, batches):
        """Return the mean loss per target over batches."""
        self.model.eval()
        with torch.no_grad():
            counts = [int((targets >= 0).sum()) for _, targets in batches]
            losses = [self._loss(*batch).item() for batch in batches]
        self.model.train()
        return sum(loss * count for loss, count in zip(losses, counts)) / sum(counts)
