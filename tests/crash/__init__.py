"""kill -9 of every program after every durable step, then restart: nothing lost, no effect twice."""
