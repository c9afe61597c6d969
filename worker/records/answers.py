"""Which validation samples a model answered correctly: one bit each, compressed, as text that a result can carry."""

import base64
import binascii
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: The most validation samples whose answers are kept. Those of a larger set are left out.
MAX_ANSWERS = 2**19
_COUNT_BYTES = 4


def pack(correct: Sequence[bool]) -> str | None:
    """Return the answers, true if correct, as base64 of their number and bits; None if there are none, or too many."""
    if not 0 < len(correct) <= MAX_ANSWERS:
        return None
    bits = np.packbits(np.asarray(correct, bool)).tobytes()
    return base64.b64encode(len(correct).to_bytes(_COUNT_BYTES, "big") + zlib.compress(bits, 9)).decode()


def unpack(packed: str) -> NDArray[np.bool_]:
    """Return the answers in an untrusted text, shape (n_validation,).

    Raises:
        ValueError: the text is not what `pack` returns.
    """
    try:
        raw = base64.b64decode(packed, validate=True)
        count = int.from_bytes(raw[:_COUNT_BYTES], "big")
        inflating = zlib.decompressobj()
        bits = inflating.decompress(raw[_COUNT_BYTES:], MAX_ANSWERS // 8 + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the packed answers are damaged: {error}") from None
    if not inflating.eof or not 0 < count <= MAX_ANSWERS or len(bits) != (count + 7) // 8:
        raise ValueError("the packed answers are damaged: their number is wrong")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).view(bool)
