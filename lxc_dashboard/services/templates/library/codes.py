"""Codes for errors of templates, drafts and shared buckets, and for the differences between two contents."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class LibraryCode(MessageCode):
    """By subject: any text, templates and revisions, the fields of drafts, drafts themselves, shared buckets."""

    TOO_LONG = "library.too_long"
    NO_TEXT = "library.no_text"

    NO_TEMPLATE = "template.none"
    SEVERAL_TEMPLATES = "template.several"
    DELETED = "template.deleted"
    FOREIGN = "template.foreign"
    NAME_INVALID = "template.name_invalid"
    NAME_TAKEN = "template.name_taken"
    NAME_TAKEN_BY_DELETED = "template.name_taken_by_deleted"
    NAME_UNCONFIRMED = "template.name_unconfirmed"
    RENAMED = "template.renamed"
    NO_REVISION = "revision.none"
    NO_SCRIPT = "revision.no_script"
    REVISION_INVALID = "revision.invalid"

    TOO_MANY_SCRIPTS = "draft.too_many_scripts"
    TOO_MANY_FILES = "draft.too_many_files"
    TOO_MANY_LISTS = "draft.too_many_lists"
    TOO_LARGE = "draft.too_large"
    NAME_TWICE = "draft.name_twice"
    SCRIPT_ORDER = "draft.script_order"
    FILE_MISSING = "draft.file_missing"
    FILE_CONTENT_MISSING = "draft.file_content_missing"
    FILE_TOO_LARGE = "draft.file_too_large"
    UPLOAD_TOO_LARGE = "draft.upload_too_large"
    MODE_INVALID = "draft.mode_invalid"
    SECOND_LIST = "draft.second_list"
    BUCKET_DELETED = "draft.bucket_deleted"
    NO_FILE = "draft.no_file"
    CHANGED_ELSEWHERE = "draft.changed_elsewhere"
    TOO_MANY_DRAFTS = "draft.too_many"

    BUCKET_NAME_TAKEN = "bucket.name_taken"
    BUCKET_NAME_UNCONFIRMED = "bucket.name_unconfirmed"
    BUCKET_MANAGER_UNKNOWN = "bucket.manager_unknown"
    BUCKET_CHANGED = "bucket.changed"
    BUCKET_CHANGED_BY = "bucket.changed_by"
    LIST_OF_ITS_OWN = "bucket.list_of_its_own"


class DifferenceCode(MessageCode):
    """One change of a template."""

    FIELD = "difference.field"
    SCRIPT_ADDED = "difference.script_added"
    SCRIPT_REMOVED = "difference.script_removed"
    SCRIPT_CHANGED = "difference.script_changed"
    SCRIPT_LINES = "difference.script_lines"
    SCRIPT_MOVED = "difference.script_moved"
    FILE_ADDED = "difference.file_added"
    FILE_REMOVED = "difference.file_removed"
    FILE_CHANGED = "difference.file_changed"
    FILE_LINES = "difference.file_lines"
    LIST_ADDED = "difference.list_added"
    LIST_REMOVED = "difference.list_removed"
    LIST_REORDERED = "difference.list_reordered"
    LIST_CHANGED = "difference.list_changed"
    COUNTS = "difference.counts"
    PACKAGES_ADDED = "difference.packages_added"
    PACKAGES_REMOVED = "difference.packages_removed"
    PACKAGES_CHANGED = "difference.packages_changed"
