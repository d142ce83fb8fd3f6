"""Settings that are more than a number."""

import pytest
from pydantic import ValidationError

from rcmvae.provider import CPU, CUDA, TENSORRT
from service.settings import Settings


@pytest.mark.parametrize(
    ("providers", "wanted"),
    [
        ("auto", ()),
        ("cpu", (CPU,)),
        ("tensorrt,cuda,cpu", (TENSORRT, CUDA, CPU)),
        ("cuda,cuda", (CUDA,)),
    ],
)
def test_providers_by_their_short_names(providers: str, wanted: tuple[str, ...]) -> None:
    assert Settings(providers=providers).wanted_providers == wanted


@pytest.mark.parametrize("providers", ["", "gpu", "cuda,", "auto,cpu", "cuda cpu"])
def test_other_providers_are_refused(providers: str) -> None:
    with pytest.raises(ValidationError, match="providers"):
        Settings(providers=providers)
