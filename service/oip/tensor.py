"""Tensors of the protocol: their data types, and their values as JSON or as bytes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES: dict[str, str] = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "INT64": "<i8",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""NumPy's name of every data type with elements of one size; BYTES has none."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output.

    Attributes:
        name: as requests name it.
        datatype: of the protocol.
        values: of that type in C order; objects of str for BYTES.
    """

    name: str
    datatype: str
    values: NDArray[Any]

    def described(self) -> dict[str, object]:
        """Name, type and shape as the protocol writes them."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.values.shape)}

    def to_bytes(self) -> bytes:
        """The values back to back; text with its length in four bytes before it."""
        if self.datatype != "BYTES":
            return self.values.astype(DTYPES[self.datatype]).tobytes()
        texts = [str(text).encode() for text in self.values.ravel()]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)

    def to_list(self) -> list[object]:
        """The values in one flat list, as the protocol wants it of a server."""
        flat: list[object] = self.values.ravel().tolist()
        return flat


def text_tensor(name: str, texts: list[str]) -> Tensor:
    """A tensor of text, (N,)."""
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return Tensor(name, "BYTES", values)
