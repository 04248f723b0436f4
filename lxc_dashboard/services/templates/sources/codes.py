"""Codes for refusing a source, a folder of templates or an archive, as a whole or in part."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class SourceCode(MessageCode):
    """Errors in fields of a source, in requests about a source, and in passes."""

    NAME = "source.name"
    NAME_RESERVED = "source.name_reserved"
    INTERVAL = "source.interval"
    WEBHOOK_SECRET = "source.webhook_secret"  # noqa: S105 a code
    SECRET_AGAIN = "source.secret_again"  # noqa: S105 a code
    KEY_MISSING = "source.key_missing"
    KEY_UNREADABLE = "source.key_unreadable"
    TOO_LONG = "source.too_long"
    NOT_ONE_LINE = "source.not_one_line"
    COLON = "source.colon"
    PASSWORD_MISSING = "source.password_missing"  # noqa: S105 a code
    HOST_KEY_UNCONFIRMED = "source.host_key_unconfirmed"
    NOT_SSH = "source.not_ssh"
    SSH_SILENT = "source.ssh_silent"
    ANOTHER_ADDRESS = "source.another_address"
    NAME_UNCONFIRMED = "source.name_unconfirmed"
    RETIRED = "source.retired"
    UNCHANGEABLE = "source.unchangeable"
    NOT_GIT = "source.not_git"
    REMOVED = "source.removed"
    STORED_HERE = "source.stored_here"
    FOLDER_UNREAD = "source.folder_unread"
    ALWAYS_OVERTAKEN = "source.always_overtaken"
    SECRETS_UNREADABLE = "source.secrets_unreadable"
    FAILED = "source.failed"
    UNEXPECTED = "source.unexpected"


class FolderCode(MessageCode):
    """Errors in a folder of templates. Each text follows the name of a file or folder."""

    NOT_THERE = "folder.not_there"
    NO_FOLDER = "folder.no_folder"
    ABSENT = "folder.absent"
    ABSENT_MORE = "folder.absent_more"
    BAD_NAME = "folder.bad_name"
    SECOND = "folder.second"
    TOO_MANY = "folder.too_many"
    NOT_SEARCHED = "folder.not_searched"
    INSIDE = "folder.inside"
    MISNAMED = "folder.misnamed"
    LINK_OUT = "folder.link_out"
    NEXT_PASS = "folder.next_pass"  # noqa: S105 a code
    UNREADABLE = "folder.unreadable"


class ArchiveCode(MessageCode):
    """Errors in an archive. Each text follows the name of the archive or of a member."""

    EXPORT_COUNT = "archive.export_count"
    EXPORT_TOO_MUCH = "archive.export_too_much"
    EXPORT_NAME_TWICE = "archive.export_name_twice"
    EXPORT_MANY_FILES = "archive.export_many_files"
    EXPORT_TOO_LARGE = "archive.export_too_large"

    NO_SPACE = "archive.no_space"
    UNKNOWN_KIND = "archive.unknown_kind"
    NO_TEMPLATE = "archive.no_template"
    MORE_LEFT_OUT = "archive.more_left_out"
    TOO_LARGE = "archive.too_large"
    UNPACKED_TOO_LARGE = "archive.unpacked_too_large"
    ABOVE_UNPACKED = "archive.above_unpacked"
    BOMB = "archive.bomb"
    MANY_MEMBERS = "archive.many_members"
    MANY_STREAMS = "archive.many_streams"
    MANY_HEADERS = "archive.many_headers"
    LARGE_HEADER = "archive.large_header"
    TOO_SLOW = "archive.too_slow"
    NO_ZIP = "archive.no_zip"
    NO_TAR = "archive.no_tar"
    NO_GZIP = "archive.no_gzip"
    CUT_OFF = "archive.cut_off"
    BROKEN_HEADER = "archive.broken_header"

    ABOVE_MEMBERS = "archive.above_members"
    ABOVE_PATHS = "archive.above_paths"
    CUT_OFF_WITHIN = "archive.cut_off_within"
    NEGATIVE_SIZE = "archive.negative_size"
    BROKEN_SIZE = "archive.broken_size"
    BROKEN_MEMBER = "archive.broken_member"
    SPARSE = "archive.sparse"
    ENCRYPTED = "archive.encrypted"
    COMPRESSION = "archive.compression"
    TWICE = "archive.twice"
    BOTH_KINDS = "archive.both_kinds"
    SAME_FOLDED = "archive.same_folded"
    NUL = "archive.nul"
    ABSOLUTE = "archive.absolute"
    LEADS_OUT = "archive.leads_out"
    LINK = "archive.link"
    SPECIAL = "archive.special"
    NOT_UTF8 = "archive.not_utf8"
    LONG_NAME = "archive.long_name"
    LONG_PATH = "archive.long_path"
    DEEP = "archive.deep"
