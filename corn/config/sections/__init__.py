"""The options, by what they are about; schema.py joins them."""
