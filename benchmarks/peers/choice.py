"""The peers by the names that the command line has for them."""

import argparse

from benchmarks.peers.label_spreading import UNLABELLED, LabelSpreadingPeer
from benchmarks.peers.peer import Peer
from benchmarks.peers.supervised_cnn import STEPS, SupervisedCnn

FAST = ("label_spreading", "cnn")
NAMES = (*FAST, "pyro")
PYRO_EPOCHS = 20


def add_peer_options(parser: argparse.ArgumentParser) -> None:
    """Which peers, and how much of each."""
    names = ",".join(NAMES)
    parser.add_argument(
        "--peers",
        type=peer_names,
        default=FAST,
        metavar="NAME,...",
        help=f"of {names}; or all, or none; without it {','.join(FAST)}",
    )
    parser.add_argument(
        "--label-spreading-inputs",
        type=int,
        default=UNLABELLED,
        help="most unlabelled inputs of LabelSpreading",
    )
    parser.add_argument("--cnn-steps", type=int, default=STEPS, help="of the supervised network")
    parser.add_argument("--pyro-epochs", type=int, default=PYRO_EPOCHS, help="of Pyro's VAE")


def peer_names(text: str) -> tuple[str, ...]:
    """Names of peers from ``a,b``, ``all`` or ``none``.

    Raises:
        argparse.ArgumentTypeError: there is no peer of that name.
    """
    if text in ("all", "none"):
        return NAMES if text == "all" else ()
    names = tuple(text.split(","))
    strangers = sorted(set(names) - set(NAMES))
    if strangers:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(NAMES)}, got {strangers}")
    return names


def choose_peers(options: argparse.Namespace) -> dict[str, Peer]:
    """The peers asked for, by name."""
    return {name: _peer(name, options) for name in options.peers}


def _peer(name: str, options: argparse.Namespace) -> Peer:
    if name == "label_spreading":
        return LabelSpreadingPeer(unlabelled=options.label_spreading_inputs)
    if name == "cnn":
        return SupervisedCnn(steps=options.cnn_steps)
    # Two seconds of imports, and a package that only this peer needs.
    from benchmarks.peers.pyro_ssvae import PyroSsvae  # noqa: PLC0415

    return PyroSsvae(epochs=options.pyro_epochs)
