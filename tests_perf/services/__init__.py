"""Services to test against: the sum flow, and four that only say how they are. Each is a process of its own."""
