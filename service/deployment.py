"""Once per server, in the process that starts the workers, before it does."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from rcmvae.errors import KeysRequired
from rcmvae.provider import machine_providers
from service.access.key_file import read_keys
from service.access.loopback import is_loopback
from service.log_form import form_logs
from service.orphan import announce_server
from service.settings import Settings, environment_name
from service.worker_files import Kind


def prepare(settings: Settings, address: str) -> None:
    """Refuse to start without the required provider, and give the workers a metrics folder.

    A server that others can reach needs keys, or be told that it needs none.

    A worker that fails to start is started again for ever; here a failure ends the server.

    Args:
        settings: of the server.
        address: that it is about to bind.

    Raises:
        KeysRequired: others could reach the address, and nothing says who may come in.
        KeyFileError: the keys cannot be read.
        ProviderUnavailable: one that is wanted or required does not come up on this machine.
    """
    form_logs(settings.log_form)
    _require_keys(settings, address)
    if settings.require_cuda or settings.wanted_providers:
        machine_providers(wanted=settings.wanted_providers, require_cuda=settings.require_cuda)
    announce_server()
    if settings.metrics_dir is None:
        directory = tempfile.mkdtemp(prefix="rcmvae-metrics-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        os.environ[environment_name("metrics_dir")] = directory
    else:
        _empty(settings.metrics_dir)


def _require_keys(settings: Settings, address: str) -> None:
    if settings.keys_file is not None:
        read_keys(settings.keys_file)
    elif not settings.public_without_keys and not is_loopback(address):
        raise KeysRequired(
            f"others can reach {address}: set {environment_name('keys_file')}, "
            f"or {environment_name('public_without_keys')}=1 in a trusted network"
        )


def _empty(directory: Path) -> None:
    """Remove what an earlier server counted; anything else in the folder stays.

    Its process ids come again where a container starts anew, and then its files would speak.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.db", *(f"{kind}*" for kind in Kind)):
        for path in directory.glob(pattern):
            path.unlink()
