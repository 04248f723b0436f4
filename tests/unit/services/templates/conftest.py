"""Writes template folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import trees

CONF = 'TEMPLATE_APP="Web"\nTEMPLATE_OS=debian\n'


@pytest.fixture
def write_tree(tmp_path: Path) -> trees.WriteTree:
    return trees.writer(tmp_path / "templates")


@pytest.fixture
def whole_template() -> dict[str, str | bytes]:
    """A template that uses every part of the format."""
    return {
        "web/template.conf": CONF,
        "web/container-configs/scripts/10-core.sh": "#!/bin/bash\n# Installs the core\n# timeout: 60\nset -e\n",
        "web/container-configs/scripts/2-first.sh": "#!/bin/bash\n#\n# optional: yes\n# Looks around\n",
        "web/container-configs/scripts/last.sh": "true\n",
        "web/container-configs/packages/base.apt": "# all\nnginx=1.26.3-3  # the web server\ncurl\n",
        "web/container-configs/packages/base.pip": "a @ git+https://example.org/a#egg=a\n",
        "web/container-configs/packages/own.custom": "tool|command -v tool|curl -f https://x | bash|timeout_s=90\n",
        "web/container-configs/files/site.conf": b"server {}\x00\xff\n",
        "web/container-configs/files/site.conf.path": "/etc/nginx/\n",
        "web/container-configs/files/site.conf.policy": "backup\n",
    }
