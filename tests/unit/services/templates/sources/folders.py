"""The result of a pass over a folder of templates, and the paths of one template."""

from __future__ import annotations

from lxc_dashboard.services.templates.model import Refusal, TemplateContent
from lxc_dashboard.services.templates.sources.folder import Discovery

Files = dict[str, str | bytes]
CONF = "TEMPLATE_APP=x\n"
CONFIGS = "web/container-configs"


def only(discovery: Discovery) -> TemplateContent:
    assert discovery.refused == ()
    (template,) = discovery.found
    return template


def refusal(discovery: Discovery) -> Refusal:
    (refused,) = discovery.refused
    return refused
