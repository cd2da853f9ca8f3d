"""Mutation testing of the policy: mutmut changes one thing at a time in it, and its tests must notice."""
