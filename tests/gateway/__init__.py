"""The gateway's settings, rules, and its operator's acts."""
