"""Configuration: what an option is, which there are, and where their values come from."""

from corn.config.schema import OPTIONS, Config

__all__ = ["OPTIONS", "Config"]
