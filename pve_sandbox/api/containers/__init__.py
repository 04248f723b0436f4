"""The containers of the cluster: create, start, stop, console."""
