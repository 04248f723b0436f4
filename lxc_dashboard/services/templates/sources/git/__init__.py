"""Reads templates in a git repository, without git's own executable.

Allowed addresses:

- ``https://``: any host with a certificate of a known CA (the system's, or ``SSL_CERT_FILE``). Plain ``http`` and ``git://`` are
  refused: templates run as root in a guest, so their transport must be protected against changes.
- ``ssh://`` (or ``user@host:path``): any host whose key the user confirmed, with the source's own private key.
- ``file://``: only below ``TEMPLATE_GIT_FILE_ROOT``; none if that is not set.

This server can reach hosts that the author's browser cannot. So a name is resolved once, each of its addresses is checked,
and the connection uses a checked address. Loopback, link-local (metadata of clouds) and similar addresses are refused unless
``TEMPLATE_GIT_ALLOW_LOCAL`` is set. Private networks are allowed for company git servers, so an author can find out whether
a TLS or SSH server answers there. Redirects are followed on the same server only.

Repositories are untrusted. A separate process (``reader``) reads them, bounded in time, memory and disk space. It gets the
credentials on its standard input and an empty environment. ``reader_process`` starts it.
"""
