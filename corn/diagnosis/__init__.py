"""Diagnosis of failures in the user's code, for a terminal, for a browser and for other clients."""
