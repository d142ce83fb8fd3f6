"""Where the server is about to listen, known before it does."""

import click
from bentoml._internal.configuration.containers import BentoMLContainer


def bind_address() -> str:
    """The address that ``bentoml serve`` will bind.

    The hook that asks runs inside of that command, whose context has ``--host`` or BENTOML_HOST;
    without them BentoML's configuration decides.
    """
    context = click.get_current_context(silent=True)
    host = None if context is None else context.params.get("host")
    return str(host or BentoMLContainer.http.host.get())
