"""Choice of execution providers; this machine has no CUDA."""

import pytest

from rcmvae.errors import ProviderUnavailable
from rcmvae.provider import CPU, CUDA, choose_providers, machine_providers, require_active


@pytest.mark.parametrize("require_cuda", [False, True])
def test_cuda_comes_first_and_the_cpu_last(require_cuda: bool) -> None:
    available = ["TensorrtExecutionProvider", CPU, CUDA]
    assert choose_providers(available, require_cuda=require_cuda) == (CUDA, CPU)


def test_the_cpu_alone_unless_cuda_is_required() -> None:
    assert choose_providers(["AzureExecutionProvider", CPU], require_cuda=False) == (CPU,)
    with pytest.raises(ProviderUnavailable, match=f"expected {CUDA}, got {CPU}"):
        choose_providers([CPU], require_cuda=True)


def test_a_session_that_fell_back_is_refused() -> None:
    require_active([CPU], require_cuda=False)
    require_active([CUDA, CPU], require_cuda=True)
    with pytest.raises(ProviderUnavailable, match=CUDA):
        require_active([CPU], require_cuda=True)
    with pytest.raises(ProviderUnavailable, match="got none"):
        require_active([], require_cuda=True)


def test_this_machine_runs_a_session() -> None:
    assert CPU in machine_providers(require_cuda=False)
