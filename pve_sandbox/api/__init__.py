"""The API of the sandbox node over HTTPS."""
