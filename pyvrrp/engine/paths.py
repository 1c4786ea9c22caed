"""How advertisements may be received, in the words of `--offload`; apart, since options are read before all else."""

from __future__ import annotations

from typing import Final

PATHS: Final = ("auto", "ebpf", "split", "off")
"""The best that is permitted, then the values of `net.system.ReceivePath`."""
