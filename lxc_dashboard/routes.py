"""All paths of the product, and functions that build addresses from them. Other modules contain no path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

DASHBOARD: Final = "/"
CONTAINERS: Final = "/containers"
CREATE: Final = "/containers/new"
TEMPLATES: Final = "/templates"
TEMPLATE: Final = "/templates/[template_id]"
# The template editor
TEMPLATE_NEW: Final = "/templates/new"
TEMPLATE_EDIT: Final = "/templates/[template_id]/edit"
DRAFTS: Final = "/api/drafts"
BUCKETS: Final = "/templates/buckets"
JOBS: Final = "/jobs"
JOB: Final = "/jobs/[job_id]"
BATCH: Final = "/batches/[batch_id]"
# A guest's console
CONSOLE: Final = "/containers/[vmid]/console"
CONSOLE_SOCKET: Final = "/api/console"
NOT_FOUND: Final = "404"

SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
REALMS: Final = "/api/realms"
LIVE: Final = "/api/live"
READY: Final = "/api/ready"
SESSION: Final = "/api/session"
FEED: Final = "/api/containers"
NODES_FEED: Final = "/api/nodes"
CREATIONS: Final = "/api/creations"
# The HTTP API for programs
API_V1: Final = "/api/v1"
API_DOCUMENT: Final = "/api/v1/openapi.json"
API_CREATIONS: Final = "/api/v1/creations"
API_CONTAINERS: Final = "/api/v1/containers"
API_JOBS: Final = "/api/v1/jobs"
# Sources of templates
SOURCES: Final = "/templates/sources"
WEBHOOKS: Final = "/api/webhooks"
TEMPLATE_REVISIONS: Final = "/api/template-revisions"
# Templates as archives
TEMPLATE_EXPORT: Final = "/api/templates/export"
TEMPLATE_IMPORT: Final = "/api/templates/import"

NEXT_CHARS: Final = 2048


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the sidebar. Shown if a page of this route exists."""

    text: str
    route: str
    icon: str


def containers(**filters: str) -> str:
    """The list of containers, filtered: ``status``, ``node``, ``pool``, ``tag``, ``q``."""
    return f"{CONTAINERS}?{urlencode(filters)}" if filters else CONTAINERS


def template(template_id: UUID | str) -> str:
    return f"/templates/{quote(str(template_id), safe='')}"


def template_tab(template_id: UUID | str, tab: str, **query: str | int) -> str:
    """A tab of a template's page. ``query``: the selection in it."""
    given = {name: str(value) for name, value in query.items() if value != ""}
    return f"{template(template_id)}?{urlencode({'tab': tab, **given})}"


def template_script(revision_id: UUID | str, name: str) -> str:
    """The download of a script of a revision."""
    return f"{TEMPLATE_REVISIONS}/{revision_id}/scripts/{quote(name, safe='')}"


def template_file(revision_id: UUID | str, name: str) -> str:
    """The download of a file of a revision."""
    return f"{TEMPLATE_REVISIONS}/{revision_id}/files/{quote(name, safe='')}"


def edit_template(template_id: UUID | str) -> str:
    """The editor of a custom template."""
    return f"{template(template_id)}/edit"


def new_template(copy_of: UUID | str = "") -> str:
    """The editor of a new template, optionally as a copy."""
    return f"{TEMPLATE_NEW}?{urlencode({'copy': str(copy_of)})}" if copy_of else TEMPLATE_NEW


def draft_files(draft_id: UUID | str) -> str:
    """Upload of files of a draft, and download by their SHA-256."""
    return f"{DRAFTS}/{draft_id}/files"


def bucket(bucket_id: UUID | str) -> str:
    """The page of shared buckets with one open. ``new``: the form of a new bucket."""
    return f"{BUCKETS}?{urlencode({'bucket': str(bucket_id)})}"


def source(source_id: UUID | str) -> str:
    """The page of sources with one open. ``new``: the form of a new source."""
    return f"{SOURCES}?{urlencode({'source': str(source_id)})}"


def webhook(source_id: UUID | str) -> str:
    """The webhook of a source, for its git server."""
    return f"{WEBHOOKS}/templates/{source_id}"


def job(job_id: UUID | str) -> str:
    return f"/jobs/{job_id}"


def batch(batch_id: UUID | str) -> str:
    return f"/batches/{batch_id}"


def console(vmid: int | str) -> str:
    return f"{CONTAINERS}/{vmid}/console"


def console_socket(vmid: int | str) -> str:
    return f"{CONSOLE_SOCKET}/{vmid}"


def create(template_id: UUID | str = "", step: str = "", *, edit: UUID | str = "") -> str:
    """The wizard at a step, optionally with a template. ``edit``: the failed job that the new one replaces."""
    given = {"template": str(template_id), "step": step, "edit": str(edit)}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{CREATE}?{query}" if query else CREATE


def edit_creation(job_id: UUID | str) -> str:
    """The wizard with the values of a failed or cancelled job."""
    return create(edit=job_id)


def shared_creation(coded: str) -> str:
    """The wizard filled by a link. ``coded``: from ``links.encode``."""
    return f"{CREATE}?{urlencode({'from': coded})}"


def api_creation(job_id: UUID | str) -> str:
    """A creation in the API for programs."""
    return f"{API_CREATIONS}/{job_id}"


def api_act(vmid: int | str, act: str) -> str:
    """An act in the API for programs, such as ``start`` or ``snapshots``. "" is the container itself."""
    return f"{API_CONTAINERS}/{vmid}/{act}".rstrip("/")


def api_job(job_id: UUID | str) -> str:
    """A job of any kind in the API for programs."""
    return f"{API_JOBS}/{job_id}"


def sign_in(next_path: str = "") -> str:
    """The sign-in page, which leads to ``next_path`` afterwards, or to the dashboard if that is another site."""
    target = safe_next(next_path)
    return SIGN_IN if target == DASHBOARD else f"{SIGN_IN}?{urlencode({'next': target})}"


def sign_in_again(next_path: str = "") -> str:
    """``sign_in`` at its first step, also for users who are signed in or between the two steps."""
    target = safe_next(next_path)
    following = {} if target == DASHBOARD else {"next": target}
    return f"{SIGN_IN}?{urlencode({'again': '1', **following})}"


def sign_in_at(endpoint_id: UUID | str) -> str:
    """The sign-in page of another endpoint, for signed-in users."""
    return f"{SIGN_IN}?{urlencode({'again': '1', 'endpoint': str(endpoint_id)})}"


def safe_next(value: str) -> str:
    """Return ``value`` if it is a path of this site, else the dashboard. Prevents open redirects.

    Browsers read a backslash as a slash and drop tabs and line ends. So only a printable path is accepted.
    """
    is_path = value.startswith("/") and not value.startswith("//") and len(value) <= NEXT_CHARS
    if not is_path or not value.isprintable() or set(value) & {"\\", " "}:
        return DASHBOARD
    parts = urlsplit(value)
    if parts.path in {SIGN_IN, SIGN_OUT}:
        return DASHBOARD
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True))
    return f"{parts.path}?{query}" if query else parts.path
