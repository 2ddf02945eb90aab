"""The teacher: a network eight times the size of the one that is shipped.

What it says of every training text is what the small one learns (Hinton, Vinyals and
Dean 2015); no text of a customer is ever read with it. all-mpnet-base-v2 (Apache-2.0),
which reads the same word pieces under other numbers, from five packages that hold one
archive in parts.
"""

import hashlib
import io
import json
import zipfile
from importlib import metadata
from typing import Final

import torch
from safetensors.torch import load
from transformers import MPNetConfig, MPNetModel

from segmentation.emotion.training.encoder import Encoder, base_vocabulary, put_in

NAME: Final = "all-mpnet-base-v2"
_PACKAGES: Final = tuple(f"{NAME}-pypi-part-00{part}" for part in range(1, 6))
_SHA256: Final = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
_FRAME: Final = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}


def large() -> Encoder:
    """As it comes from its makers: 12 layers of 768.

    Raises PackageNotFoundError without its packages, ValueError where they hold another
    file than the one this recipe was made with.
    """
    with _archive() as archive:
        config = MPNetConfig(**json.loads(archive.read(f"{NAME}/config.json")))
        weights = archive.read(f"{NAME}/model.safetensors")
        pieces = archive.read(f"{NAME}/vocab.txt").decode("utf-8").splitlines()
    if (found := hashlib.sha256(weights).hexdigest()) != _SHA256:
        raise ValueError(f"{NAME}: its weights have SHA-256 {found}, not {_SHA256}.")
    config.attention_probs_dropout_prob = 0.0
    config.hidden_dropout_prob = 0.0
    body = MPNetModel(config, add_pooling_layer=False)
    put_in(body, load(weights))
    numbers = {piece: number for number, piece in enumerate(pieces)}
    ids = [numbers[_FRAME.get(piece, piece)] for piece in base_vocabulary()]
    return Encoder(body, ids_of_body=torch.tensor(ids))


def _archive() -> zipfile.ZipFile:
    parts = []
    for package in _PACKAGES:
        (part,) = (
            file
            for file in metadata.files(package) or []
            if file.name.startswith(f"{NAME}.zip")
        )
        parts.append(part.read_binary())
    return zipfile.ZipFile(io.BytesIO(b"".join(parts)))
