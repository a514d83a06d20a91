"""Homes, admissions and calls of the parties."""
