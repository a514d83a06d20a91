"""What was disclosed about one subject: the gateway's account of it, verified, and the questions put to it. Pure."""
