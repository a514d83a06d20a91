"""What the gateway's operator decides on its own machine. Every act is one exchange through the door."""
