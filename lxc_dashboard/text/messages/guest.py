"""Texts of failures to enter a guest or to use an SSH server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

_PIN_KEY: Final = "read it on the node and register it"

OF_GUESTS: Final[Mapping[str, str | WithRemedy]] = {
    # SSH servers and keys
    "ssh.unreachable": "SSH on {address} cannot be reached: {reason}",
    "ssh.no_server": "SSH on {address} is not an SSH server",
    "ssh.lost": "The SSH connection was lost",
    "ssh.no_session": "{address} refuses to open an SSH session",
    "ssh.sessions_in_use": "All SSH sessions of {address} are in use",
    "ssh.no_command": "{address} refuses to run a command",
    "ssh.key_refused": WithRemedy("{address} refuses the dashboard's SSH key", "Add it to authorized_keys"),
    "ssh.key_invalid": "The endpoint's SSH key is invalid: use an Ed25519, ECDSA or RSA key without passphrase",
    "ssh.host_key.changed": WithRemedy(
        "The SSH host key of {address} is not the pinned one. Nothing was sent",
        "If the node was reinstalled, confirm its new key",
    ),
    "ssh.host_key.other_type": "SSH on {address} has no host key of the pinned type",
    "ssh.host_key.not_pinned": f"No SSH host key is pinned for {{address}}: {_PIN_KEY}",
    "ssh.host_key.not_pinned_for_node": f"No SSH host key is pinned for node {{node}}: {_PIN_KEY}",
    "ssh.host_key.pin_invalid": "The pinned SSH host key is invalid",
    "ssh.host_key.pin_of_unknown_type": "The pinned SSH host key of {address} has an unknown type",
    # Access to a guest
    "door.not_entered": "CT {vmid} cannot be entered: {reason}",
    "door.no_answer": "The guest did not answer within {seconds} s",
    "door.lost": "The connection to the guest was lost",
    "door.shell_replaced": "The shell in the guest was replaced: its answer is invalid",
    "door.answer_too_large": "The guest's answer is larger than {kib} KiB",
    "door.host_key_changed": (
        "CT {vmid} at {host} has another SSH host key than at the first contact. Nothing was sent. "
        "Another machine may have its address, or its keys were replaced"
    ),
    "door.key_refused": "The SSH server of CT {vmid} at {host} refuses the key of this creation",
    "door.marker_invalid": "The marker is invalid",
    # Commands. Another message adds the exit status.
    "door.removing_key": "Removing the key of this creation",
    "door.reading_marker": "Reading the marker",
    "door.removing_marker": "Removing the previous marker",
    "file.reading": "Reading {path}",
    "file.writing": "Writing {path}",
    "supervisor.preparing": "Preparing the guest",
    "supervisor.stopping_step": "Stopping the step",
    "supervisor.removing": "Removing the supervisor",
    # Files
    "file.not_absolute": "{name}: the target directory must be absolute",
    "file.not_a_file_name": "{name} is not a file name",
    "file.damaged": "{path} arrived damaged",
    "file.damaged_again": "{path} arrived damaged {tries} times",
    # The supervisor of steps
    "supervisor.step_name_invalid": "The name of the step is invalid",
    "supervisor.script_not_stored": (
        "The step could not be started: the script cannot be stored in the guest: its disk is full, or read-only"
    ),
    "supervisor.script_damaged": "The step could not be started: the script arrived damaged",
    "supervisor.not_started": "The step could not be started: the supervisor in the guest did not start",
    "supervisor.no_setsid": "The step could not be started: setsid is missing in this guest (package util-linux)",
    "supervisor.missing": "The step could not be started: the supervisor is missing in the guest",
    "supervisor.replaced": "The supervisor in the guest was replaced: its answer is invalid",
    "supervisor.stopped_answering": "The supervisor in the guest stopped answering",
    "supervisor.overtime": "The step still runs long after its timeout, and the guest does not end it",
    "supervisor.output_too_large": "The step printed more than {gib} GiB",
    "supervisor.output_ended_early": "The output of the step ended early",
    "supervisor.silent": "The guest was silent for {seconds} s",
    "supervisor.restarted": "The guest was restarted",
    "supervisor.connection_stays": "The connection to the guest does not end",
}
