"""The shipped model's files and the check that they are what was shipped."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent
SUMS = "SHA256SUMS"
# comments.npz is the lexical head of comments, for figures on GoEmotions alone.
FILES = ("model.int8.onnx", "vocab.txt", "lexical.npz", "comments.npz", "meta.json")


class WeightsDamaged(Exception):
    """A model file is missing or is not the one that was shipped."""


def shipped_digests(folder: Path = FOLDER) -> dict[str, str]:
    """File name → SHA-256 in hex, as listed. Raises WeightsDamaged without the list."""
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise WeightsDamaged(f"{folder / SUMS} can't be read. {_REMEDY}") from error
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {name: digest for digest, name in pairs}


def verified(name: str, folder: Path = FOLDER) -> bytes:
    """Bytes of one file of the model, compared with its digest.

    Raises WeightsDamaged if the file is missing, unlisted or differs.
    """
    wanted = shipped_digests(folder).get(name)
    if wanted is None:
        raise WeightsDamaged(f"{SUMS} lists no digest for {name}. {_REMEDY}")
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise WeightsDamaged(f"{folder / name} is missing. {_REMEDY}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise WeightsDamaged(
            f"{folder / name} needs SHA-256 {wanted[:12]}…, has {found[:12]}… "
            f"({len(content):,} bytes). {_REMEDY}"
        )
    return content


def write_sums(folder: Path) -> dict[str, str]:
    """List the digests of a model that was just made; returns them."""
    digests = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES
    }
    lines = [f"{digest}  {name}\n" for name, digest in digests.items()]
    (folder / SUMS).write_text("".join(lines), encoding="ascii")
    return digests


_REMEDY = "Restore segmentation/emotion/weights from the release."
