"""Templates in a git repository, read without git's own executable.

What an author may name, and why:

- ``https://`` any host that has a certificate the system's CAs (or ``SSL_CERT_FILE``) vouch for. Plain ``http`` and ``git://`` are
  refused: what a template holds runs as root in a guest, so nobody on the way may change it.
- ``ssh://`` (or ``user@host:path``) any host whose key was shown and pinned, with a private key of the source.
- ``file://`` only below ``TEMPLATE_GIT_FILE_ROOT``, nothing where that is not set.

This process reaches what its author's browser may not, so a name is looked up once, every address that it has is looked at, and
the connection goes to the very address that was: loopback, link-local (where clouds hand out their keys) and the like are refused
unless ``TEMPLATE_GIT_ALLOW_LOCAL`` is set. Addresses of private networks are let through, for that is where a company's git server
stands; what an author can learn there is whether a TLS or SSH server answers. A redirect is followed on the same server only.

Repositories are anybody's, so they are read by a process of its own (``child``): bounded in time, memory, and what it writes,
with the credentials on its standard input and nothing in its environment. ``reading`` starts it.
"""
