"""Declarations of the options, one module per subject; schema.py joins them."""
