"""A worker ends when the process that started it is gone.

BentoML starts workers in sessions of their own. When their parent is killed they would go on
serving, with nobody to restart or stop them, and hold the port.
"""

import logging
import os
import signal

_log = logging.getLogger("bentoml.rcmvae")


SERVER_VARIABLE = "RCMVAE_SERVER_PID"
"""Set for the workers by the process that starts them; not a setting."""

_INIT = 1


def announce_server() -> None:
    """Tell the workers that are about to be started who their parent is."""
    os.environ[SERVER_VARIABLE] = str(os.getpid())


class ParentWatch:
    """Remembers the parent of this process."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        if self._parent == _INIT:
            # Either the server is the first process of a container, or it has gone already.
            self._parent = int(os.environ.get(SERVER_VARIABLE, _INIT))

    async def check(self) -> None:
        """Begin an orderly stop when the parent is another one."""
        if os.getppid() != self._parent:
            _log.warning("the process that started this worker is gone; stopping")
            os.kill(os.getpid(), signal.SIGTERM)
