"""Once per server, in the process that starts the workers, before it does."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from rcmvae.provider import machine_providers
from service.orphan import announce_server
from service.settings import Settings, environment_name


def prepare(settings: Settings) -> None:
    """Refuse to start without the required provider, and give the workers a metrics folder.

    A worker that fails to start is started again for ever; here a failure ends the server.

    Raises:
        ProviderUnavailable: CUDA is required, and this machine has none.
    """
    if settings.require_cuda:
        machine_providers(require_cuda=True)
    announce_server()
    if settings.metrics_dir is None:
        directory = tempfile.mkdtemp(prefix="rcmvae-metrics-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        os.environ[environment_name("metrics_dir")] = directory
    else:
        _empty(settings.metrics_dir)


def _empty(directory: Path) -> None:
    """Remove what an earlier server counted; anything else in the folder stays."""
    directory.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.db", "served_*"):
        for path in directory.glob(pattern):
            path.unlink()
