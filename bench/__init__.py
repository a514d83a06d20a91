"""Speed and memory of the real programs, each as a ratio to a floor measured in the same run."""
