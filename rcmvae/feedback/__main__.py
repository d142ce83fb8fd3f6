"""``python -m rcmvae.feedback backup|restore FILE``: a SQLite store and its copies."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.backup import back_up, restore
from rcmvae.feedback.location import store_url


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 where it failed, with the reason on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.action == "backup":
            count = back_up(options.store, options.file)
            print(f"{count} corrections backed up to {options.file}")
        else:
            count = restore(options.store, options.file, replace=options.replace)
            print(f"{count} corrections restored from {options.file}")
    except StoreUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m rcmvae.feedback", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    backup = actions.add_parser("backup", help="copy the store, which may be in use")
    backup.add_argument("file", type=Path, help="a new file")
    back = actions.add_parser("restore", help="put a copy in the place of what the store holds")
    back.add_argument("file", type=Path, help="what backup wrote")
    back.add_argument("--replace", action="store_true", help="lose what the store holds now")
    for action in (backup, back):
        action.add_argument("--store", default=store_url(), help="database URL of the store")
    return parser


if __name__ == "__main__":
    sys.exit(main())
