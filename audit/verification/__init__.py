"""Offline verification of an export; `procedure.verify` is the way in."""
