"""``python -m service keys ...``: what an operator does beside serving."""

import sys

from service.access.command import keys_command

if __name__ == "__main__":
    if sys.argv[1:2] != ["keys"]:
        sys.exit("usage: python -m service keys {new,list,remove} ...")
    keys_command(sys.argv[2:])
