"""Configuration: option types, option declarations and the sources of their values."""

from corn.config.schema import OPTIONS, Config

__all__ = ["OPTIONS", "Config"]
