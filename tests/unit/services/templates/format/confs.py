"""Parse the text of a ``template.conf``, or return its error."""

from __future__ import annotations

from lxc_dashboard.services.templates.format.conf import parse_conf
from lxc_dashboard.services.templates.model import TemplateConfig


def config(text: str | bytes) -> TemplateConfig:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_conf(data, app="fallback")[0]
