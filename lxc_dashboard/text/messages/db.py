"""Texts of database errors, by ``DatabaseCode``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

OF_DATABASE: Final[Mapping[str, str | WithRemedy]] = {
    "database.endpoint_name": "An endpoint with this name already exists",
    "database.endpoint_address": "An endpoint with this host and port already exists",
    "database.endpoint_default": WithRemedy("Another endpoint has become the default", "Reload the page"),
    "database.endpoint_has_containers": WithRemedy("This endpoint still has containers", "Delete them first"),
    "database.endpoint_has_jobs": "This endpoint still has jobs",
    "database.vmid": "This vmid is already in use on this endpoint",
    "database.container_marker": "This container is already registered",
    "database.preset_name": "You already have a preset with this name",
    "database.source_name": "A template source with this name already exists",
    "database.template_name": "This source already has a template with this name",
    "database.template_has_jobs": "Jobs still use this template",
    "database.revision_number": WithRemedy("Another user saved a new revision of this template", "Reload it"),
    "database.bucket_name": "A package bucket with this name already exists",
    "database.guest_locked": WithRemedy("Another job uses this container", "Wait for it or cancel it"),
    "database.job_taken_over": "Another worker has taken over this job",
    "database.audit_append_only": "Audit entries cannot be changed",
    "database.exists": "This {table} already exists",
    "database.in_use": "This is still in use",
    "database.parent_gone": "The object that this belongs to does not exist or was removed",
    "database.invalid_value": "A value cannot be stored",
    "database.pool_busy": "The database is busy",
    "database.busy": "The database is busy or restarting",
    "database.unreachable": "The database cannot be reached",
    "database.unmigrated": WithRemedy("The database is not migrated to this version", "Run: lxc-dashboard migrate"),
    "database.no_privileges": WithRemedy(
        "The role in DATABASE_URL lacks privileges",
        "Make it the owner of its database: ALTER DATABASE ... OWNER TO ...",
    ),
    "database.read_only": "The database is read-only: it is a standby, or configured so",
    "database.not_fitting": "does not fit",
    "database.not_allowed": "is not allowed",
    # Missing objects
    "job.gone": "This job does not exist or was removed",
    "job.gone_or_ended": "This job does not exist, or has ended",
    "batch.gone": "This batch does not exist or was removed",
    "container.gone": "This container is unknown or was removed",
    "endpoint.gone": "This endpoint is not registered",
    "source.gone": "This source of templates does not exist or was removed",
    "template.gone": "This template does not exist or was removed",
    "revision.gone": "This revision does not exist or was removed",
    "revision.no_file": "This revision has no such file",
    "bucket.gone": "This package bucket does not exist or was removed",
    "draft.gone": "This draft does not exist or was removed",
    "preset.gone": "This preset does not exist or was removed",
    # Objects in another state
    "database.vmid_taken": "The vmid {vmid} is taken on this endpoint",
    "container.vmid_changed": "This container no longer has the vmid {vmid}",
    "job.not_failed": "Only a failed job is run again; this one is {state}",
    "job.not_replaceable": "Only a failed or cancelled job is replaced; this one is {state}",
    "job.not_paused": "Only a paused job goes on; this one is {state}",
    "job.ended": "This job has ended: {state}",
    "endpoint.used": "The endpoint is still used by {guests}",
    "endpoint.used_by_more": "The endpoint is still used by {guests} and {more} more",
    "source.of_other_kind": "A {kind} source is called {name}: rename or remove it first",
    # For the operator of the database
    "database.bad_url": "is not a URL like postgresql://user:password@host:5432/name",
    "database.bad_scheme": "starts with {scheme}://, not with postgresql://",
    "database.no_name": "has no database name",
    "database.no_migrations": "The installation is incomplete: its migrations are missing",
    "database.no_revision": "This revision does not exist",
    "database.unreadable_secret": "{secret}: {reason}",
}
