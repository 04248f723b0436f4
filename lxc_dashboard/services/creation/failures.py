"""Why a creation, or a request about one, fails."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class FailureCode(MessageCode):
    """By subject: the way into the guest, the first contact with it, what a step cannot do, and what became of the container."""

    NO_WAY = "way_in.none"
    NO_WAY_DOOR_FAILED = "way_in.none.door_failed"
    NO_WAY_NO_ADDRESS = "way_in.none.no_address"
    NO_WAY_NO_SSH_SERVER = "way_in.none.no_ssh_server"
    NO_WAY_NO_ROUTE = "way_in.none.no_route"
    NO_WAY_NO_KEY = "way_in.none.no_key"
    NOT_ENTERED = "way_in.not_entered"

    CONTACT_NO_ADDRESS = "failure.contact_no_address"
    CONTACT_REFUSED = "failure.contact_refused"
    CONTACT_NO_SERVER = "failure.contact_no_server"
    CONTACT_NO_ROUTE = "failure.contact_no_route"
    CONTACT_FAILED = "failure.contact_failed"
    STORAGE_FULL = "failure.storage_full"
    DISK_INCOMPLETE = "failure.disk_incomplete"
    SIMILAR_NAMES = "failure.similar_names"
    FILE_UNWRITABLE = "failure.file_unwritable"
    FILE_UNWRITABLE_BECAUSE = "failure.file_unwritable_because"
    UNPREPARED = "failure.unprepared"
    UNPREPARED_BECAUSE = "failure.unprepared_because"
    OWNER_MISSING = "failure.owner_missing"
    FOLDER_MISSING = "failure.folder_missing"
    HA_NOT_STARTED = "failure.ha_not_started"
    NOT_STARTED = "failure.not_started"
    DELETED = "failure.deleted"
    DELETED_BY = "failure.deleted_by"
    NOT_OURS = "failure.not_ours"
    STOPPED = "failure.stopped"
    VMID_OF_OTHER = "failure.vmid_of_other"
    NO_VMID = "failure.no_vmid"
    LEFT_BEHIND = "failure.left_behind"
    PASSWORD_GONE = "failure.password_gone"  # noqa: S105 a code
    CREATE_NO_OSTEMPLATE = "failure.create_no_ostemplate"
    CREATE_NO_SPACE = "failure.create_no_space"
    CREATE_INTERRUPTED = "failure.create_interrupted"
    CREATE_FAILED = "failure.create_failed"
