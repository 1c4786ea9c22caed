"""`python -m pyvrrp.engine DESCRIPTOR NAME`: an engine that control starts anew after the first has died."""

from __future__ import annotations

import socket
import sys

from pyvrrp.engine.process import run

if __name__ == "__main__":
    sys.exit(run(socket.socket(fileno=int(sys.argv[1])), sys.argv[2]))
