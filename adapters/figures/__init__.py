"""A period's statistics at the bureau and at banks: fetched, verified, confirmed, and shown in five forms."""
