"""The HTTP API for programs, at ``/api/v1``. Each request carries the caller's PVE API token."""
