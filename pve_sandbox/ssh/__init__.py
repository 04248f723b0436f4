"""The SSH server of the sandbox node, with ``pct`` over the guests."""
