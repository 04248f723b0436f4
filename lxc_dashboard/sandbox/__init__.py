"""A PVE node to try the product on: a test double on loopback, imported by the command and the tests alone."""
