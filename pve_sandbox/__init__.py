"""A PVE node to try the product on: a test double on loopback, started as a process of its own."""
