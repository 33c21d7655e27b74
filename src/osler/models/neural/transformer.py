"""Texts of tokens as vectors by a pre-trained network, which goes on learning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from osler.adapters import pretrained
from osler.models.neural.inputs import Branch, Tensors

#: Texts that are read side by side where no gradient is wanted.
_TOGETHER = 256


class PretrainedEncoder(nn.Module):
    """Rows of k spellings as vectors: in training one spelling drawn for every row, otherwise the mean over all k.

    A spelling's vector is the mean of the last layer's states over its tokens, then a layer. The architecture names
    `pretrained` (what the network is), `start` (the folder its weights are taken from, or none: they come from a saved
    predictor), `frozen` (its first layers that keep their weights; all of them and the table of tokens from 1 on),
    `dropout` and `width`.
    """

    def __init__(self, branch: Branch, architecture: dict[str, Any]) -> None:
        super().__init__()
        self.net = pretrained.build(architecture["pretrained"])
        if architecture["start"]:
            self._start(pretrained.weights(pretrained.encoder(architecture["start"])))
        for name, weight in self.net.named_parameters():
            weight.requires_grad_(not _held(name, architecture["frozen"]))
        self.pad = int(architecture["pretrained"].get("pad_token_id") or 0)
        self.last = nn.Linear(architecture["pretrained"]["hidden_size"], architecture["width"])
        self.dropout = nn.Dropout(architecture["dropout"])

    def _start(self, weights: dict[str, Tensor]) -> None:
        own = self.net.state_dict()
        self.net.load_state_dict(own | {k: v for k, v in weights.items() if k in own})

    def forward(self, rows: Tensors) -> Tensor:
        """`x` (n, t, k): 0 after the end, 1 + code elsewhere → (n, width)."""
        x = rows["x"].long()
        n, _, k = x.shape
        if self.training:
            drawn = torch.randint(k, (n, 1, 1), device=x.device)
            found = self._means(x.gather(2, drawn.expand(-1, x.shape[1], -1))[:, :, 0])
        else:
            found = self._in_order(x.transpose(1, 2).reshape(n * k, -1)).view(n, k, -1).mean(dim=1)
        return torch.relu(self.last(self.dropout(found)))

    def _in_order(self, x: Tensor) -> Tensor:
        """`_means` of many texts, those of about one length together."""
        order = (x > 0).sum(dim=1).argsort(stable=True)
        found = torch.cat([self._means(x[part]) for part in order.split(_TOGETHER)])
        return torch.empty_like(found).index_copy(0, order, found)

    def _means(self, x: Tensor) -> Tensor:
        """(n, t) → (n, hidden) mean of the last states; a text without tokens is read as one that is padding."""
        x = x[:, : max(int((x > 0).sum(dim=1).max()), 1)]
        real = x > 0
        seen = real.clone()
        seen[:, 0] = True
        states = self.net(
            input_ids=torch.where(real, x - 1, self.pad), attention_mask=seen.long()
        ).last_hidden_state
        return (states * seen[:, :, None]).sum(dim=1) / seen.sum(dim=1, keepdim=True)


def _held(name: str, frozen: int) -> bool:
    """Whether a weight keeps its value: the pooling layer, which nothing reads; with `frozen` above 0 the embeddings and
    the first layers.
    """
    parts = name.split(".")
    if parts[0] == "pooler":
        return True
    if frozen <= 0:
        return False
    numbers = [int(part) for part in parts if part.isdigit()]
    return numbers[0] < frozen if numbers else True
