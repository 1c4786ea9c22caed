"""The version, in the one place that packaging and the daemon both read."""

__version__ = "0.1.0.dev0"
