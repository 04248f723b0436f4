"""The spec of a container for the tests of creation."""

from __future__ import annotations

from lxc_dashboard.services.creation.form.spec import ContainerSpec

SPEC = ContainerSpec("pve1", "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", "web", "local-lvm")
