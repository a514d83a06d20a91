"""Verifiers that none of us wrote."""
