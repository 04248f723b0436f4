"""The HTTP API for programs, at ``/api/v1``: with the caller's own PVE API token, and nothing else, on each request."""
