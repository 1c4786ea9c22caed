"""For all tracker tests: they leave no child behind, neither running nor as a zombie."""

from tests.children import no_child_left

__all__ = ["no_child_left"]
