from __future__ import annotations

from tests.netns import network

__all__ = ["network"]
