"""What a pass over a folder of templates has found, and the paths of one."""

from __future__ import annotations

from lxc_dashboard.services.templates.folder import Discovery, Refusal
from lxc_dashboard.services.templates.model import TemplateContent

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
