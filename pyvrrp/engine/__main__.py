"""`python -m pyvrrp.engine DESCRIPTOR NAME`: an engine that control starts anew after the first has died."""

from __future__ import annotations

import os
import socket
import sys

from pyvrrp.engine.process import run
from pyvrrp.net import rights

if __name__ == "__main__":
    given = int(sys.argv[1])
    low = os.dup(given)  # the number may be too high for select(2) where control has many files open
    os.close(given)
    rights.take_effect()
    sys.exit(run(socket.socket(fileno=low), sys.argv[2]))
