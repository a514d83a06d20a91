"""What every counterparty's machine has: a home with keys and pins, a way to the gateway, a terminal."""
