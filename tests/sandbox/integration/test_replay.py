"""The sandbox answers as the recorded PVE did: the same status, reason, message and errors, and data of the same shape.

Each scene starts from the lab's machine and replays its exchanges in the order of the recording. Changed or left out:

- ``auth_login_*`` and ``token_*`` exchanges keep their meaning, but send this lab's own secrets (they were masked).
- ``backend_*``, ``cluster2_pve2_proxy_down_*``: daemons that can be stopped one by one are not simulated; an
  unreachable node (595, no body) is, and so are lost connections. ``pmxcfs_down_*`` is tested elsewhere.
- ``pvestatd_down_*``: frozen figures have no shape of their own; ``freeze_statistics`` is tested elsewhere.
- ``quorum_lost_config_put``, ``quorum_lost_delete_local``: the sandbox refuses every write with ``no quorum``. PVE
  fails on the file and has already removed a disk.
- ``restore_*``, ``vzdump_stop_mode``: archives have no contents here, and mail is not sent.
- ``delete_while_creating``: it was recorded when the container ran already.
- ``start_fails_no_init_110``, ``create_disk_too_small__task_log``: the output of tar and lxc-start is not simulated.
- ``node_services``, ``node_dns``, ``node_subscription``, ``cluster_log``, ``ha_resources``, ``fw_lxc_rules``,
  ``vncproxy``, ``resize_ok__task_log``, ``clone_ok__task_log``: the product does not rely on them.
- ``route_double_slash``, ``http_*``, ``route_plain_http_on_8006``: the client never sends such requests.
- ``lxc_interfaces_running_systemd_121`` and other duplicates of a replayed exchange.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.sandbox.integration.replay import PASSWORDS, assert_as_recorded, guest_of
from tests.sandbox.integration.replay_lab import app1, lab, with_mixed

CREATE_130 = "vmid=130&ostemplate=local%3Avztmpl%2Fdebian-12-mini_12.0-1_amd64.tar.zst&rootfs=local%3A1"


async def test_signing_in(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("auth_login_ok_pam", "auth_login_ok_pve", "auth_login_ok_realm_param", "auth_login_json_body")
        await it.play("auth_login_bad_password_pam", "auth_login_bad_password_pve", "auth_login_unknown_user")
        await it.play("auth_login_unknown_realm", "auth_login_empty_body", "auth_login_extra_param")
        await it.play("auth_login_missing_password", "auth_login_no_realm", "auth_renew_with_cookie_only_no_password")
        await it.headers("root@pam", csrf=False)
        renewal = urlencode({"username": "root@pam", "password": it.tickets["root@pam"]["ticket"]})
        await it.play("auth_renew_ticket_as_password", body=renewal)
        assert_as_recorded(it)


async def test_signing_in_with_a_second_step(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        challenge = (await it.play("auth_login_tfa_needed", "auth_tfa_otp_param_old_style")).json()["data"]["ticket"]
        partial = {"Cookie": "PVEAuthCookie=" + quote(challenge, safe="")}
        await it.play("auth_tfa_partial_ticket_used_GET", headers=partial)
        answer = {"username": "tfa@pve", "tfa-challenge": challenge}
        wrong = "000000" if it.node.totp_code() != "000000" else "000001"
        await it.play("auth_tfa_bad_code", body=urlencode({**answer, "password": "totp:" + wrong}))
        await it.play("auth_tfa_ok", body=urlencode({**answer, "password": "totp:" + it.node.totp_code()}))
        assert_as_recorded(it)


async def test_requests_of_nobody_in_particular(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("auth_no_ticket", "auth_no_ticket_unknown_path", "access_domains_no_auth")
        for name in ("auth_bad_ticket", "auth_garbage_ticket"):
            await it.play(name, headers={"Cookie": "PVEAuthCookie=PVE:root@pam:6B04B46C::AAAA"})
        signed_in = await it.headers("root@pam", csrf=False)
        await it.play("auth_missing_csrf", "auth_missing_csrf_DELETE", headers=signed_in)
        await it.play("auth_wrong_csrf", headers={**signed_in, "CSRFPreventionToken": "6B04B46C:no"})
        await it.play("auth_cookie_urlencoded_ok")
        in_header = {"Authorization": signed_in["Cookie"]}
        await it.play("auth_ticket_in_Authorization_PVEAuthCookie", headers=in_header)
        it.node.ticket_issuer.skew_s = 3 * 3600
        await it.play("auth_expired_ticket_3h", headers=signed_in)
        assert_as_recorded(it)


async def test_tokens(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        for name, value in (
            ("token_wrong_secret", "PVEAPIToken=root@pam!mon=no"),
            ("token_unknown_id", "PVEAPIToken=root@pam!nope=x"),
            ("token_unknown_user", "PVEAPIToken=ghost@pve!mon=x"),
            ("token_malformed", "PVEAPIToken=garbage"),
            ("token_wrong_scheme_bearer", "Bearer root@pam!mon=x"),
        ):
            await it.play(name, headers={"Authorization": value})
        await it.play("token_ok", "token_on_ticket_only_path", "token_post_needs_no_csrf", who="root@pam!mon")
        await it.play("route_post_json_body_bool_true__token", "route_post_json_body_ok__token", who="root@pam!mon")
        await it.play("token_privsep_no_acl_lxc_list", "token_privsep_no_acl_nodes", who="root@pam!sep")
        await it.play("token_privsep_no_acl_resources", "token_privsep_no_acl_status_current", who="root@pam!sep")
        assert_as_recorded(it)


async def test_rights(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("perm_access_permissions_self_alice", "perm_denied_auditor_create", who="alice@pve")
        await it.play("perm_denied_auditor_delete", "perm_denied_auditor_start", who="alice@pve")
        await it.play("perm_denied_auditor_other_user_password", who="alice@pve")
        await it.play("perm_bob_cluster_resources", "perm_bob_lxc_list", "perm_bob_nodes_list", who="bob@pve")
        await it.play("perm_denied_bob_lxc_config", "perm_denied_bob_node_status", who="bob@pve")
        await it.play("perm_denied_mgr_create_no_storage_priv", who="mgr@pve")
        await it.play("access_acl", "access_users", "access_tfa_user")
        assert_as_recorded(it)


async def test_routes(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("api_index", "route_trailing_slash", "route_unknown_path", "route_unknown_query_param")
        await it.play("route_wrong_method", "route_head_version", "route_options_version", "route_bad_format")
        await it.play("route_extjs_error", "route_http_root_api2_extjs_version", "route_invalid_node_name")
        await it.play("route_unknown_node", "route_unknown_node_lxc_list", "route_gzip")
        await it.play("route_post_bad_content_type", "route_post_bad_json")
        await it.play("route_put_huge_body", who="root@pam!mon", body="description=" + "x" * 2_000_000)
        await it.play("route_put_long_description_9000", who="root@pam!mon", body="description=" + "x" * 9000)
        assert_as_recorded(it)


async def test_reading_a_node_and_its_cluster(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("version", "nodes", "node_index", "node_status", "node_time", "cluster_status", "cluster_options")
        await it.play("cluster_resources", "cluster_resources_type_bad", "cluster_resources_type_vm")
        await it.play("node_network", "node_network_any_bridge", "pools", "qemu_list_empty", "lxc_list_one_stopped")
        await it.play("storage_list", "node_storage_list", "node_storage_list_vztmpl", "storage_content_vztmpl")
        await it.play("storage_content_missing_storage", "storage_content_backup", "aplinfo")
        await it.play("nextid", "nextid_taken_101", "nextid_free_555", "nextid_bad_vmid_5", "nextid_bad_vmid_abc")
        await it.play("lxc_rrddata_hour", "lxc_rrddata_no_timeframe", "aplinfo_download_unknown")
        assert_as_recorded(it)


async def test_creating(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("create_no_params", "create_bad_params", "create_vmid_99", "create_unknown_param")
        await it.play("create_bad_bool", "create_short_password", "create_bad_ssh_key", "create_bad_features")
        await it.play("create_vmid_taken", "create_template_missing", "create_template_bad_volid")
        await it.play("create_template_missing_storage", "create_rootfs_storage_missing")
        await it.play("create_no_rootfs_default_storage", "create_bridge_missing", "create_template_corrupt")
        await it.play("lxc_config_after_failed_create_113", "create_ok", "lxc_config_120", "lxc_config_current_120")
        await it.play("create_ok_start_1_standard")
        assert_as_recorded(it)


async def test_reading_containers(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        with_mixed(it.node)
        await it.play("cluster_resources_mixed", "lxc_list_mixed", "lxc_interfaces_running", "lxc_pending_120")
        await it.play("lxc_status_current_running", "delete_running", "start_bad_bridge_111", "lxc_snapshots_none")
        await it.play("lxc_config_missing_999", "lxc_index_missing", "lxc_interfaces_missing")
        await it.play("lxc_snapshots_missing_ct", "lxc_status_current_missing", "termproxy")
        assert_as_recorded(it)


async def test_starting_and_stopping(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        it.node.api.cts.append(app1())
        await it.play("lxc_interfaces_stopped", "lxc_status_current_stopped", "reboot_stopped", "shutdown_stopped")
        await it.play("start_missing", "stop_missing", "stop_stopped", "suspend_stopped", "start_ok", "start_running")
        await it.play("reboot_ok", "shutdown_forceStop", "start_for_force_delete", "delete_running_noforce")
        await it.play("delete_running_force", "lxc_config_after_delete", "delete_missing")
        assert_as_recorded(it)


async def test_snapshots(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        with_mixed(it.node)
        await it.play("snapshot_create_ok_running", "snapshot_bad_name", "snapshot_config", "snapshot_create_duplicate")
        await it.play("snapshot_list", "snapshot_not_supported_dir_raw", "snapshot_reserved_name_current")
        await it.play("snapshot_config_missing", "snapshot_delete_missing", "snapshot_rollback_running")
        await it.play("snapshot_delete_ok")
        assert_as_recorded(it)


async def test_configuring(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        it.node.api.cts.append(app1())
        await it.play("config_put_bad_digest", "config_put_bad_value", "config_put_delete_unknown_option")
        await it.play("config_put_missing_ct", "config_put_nothing", "config_put_ok", "resize_ok", "resize_shrink")
        await it.play("config_put_pending_unprivileged_features")
        await it.play("start_120_again", "config_put_running_features_pending", "config_put_running_hostname")
        await it.play("config_put_running_memory_hotplug", "config_running_pending_current1")
        await it.play("config_running_pending_default", "pending_running")
        assert_as_recorded(it)


async def test_what_was_configured_for_the_next_start(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        it.node.api.cts.append(app1())
        await it.send("config_put_ok")
        await it.send("config_put_pending_unprivileged_features")
        await it.play("config_after_pending_default", "config_after_pending_current1")
        assert_as_recorded(it)


async def test_while_a_container_is_being_created(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        it.node.hang_task("vzcreate")
        upid = (await it.send("create_ok", body=CREATE_130)).json()["data"]
        base = f"/api2/json/nodes/pve1/tasks/{quote(upid, safe='')}"
        await it.play("task_running_create_status", path=base + "/status")
        await it.play("lxc_config_while_creating", "nextid_while_creating_130")
        await it.play("create_same_vmid_while_creating", body=CREATE_130)
        await it.play("task_abort", path=base)
        assert_as_recorded(it)


async def test_locks_and_protection(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        with_mixed(it.node)
        await it.send("shutdown_forceStop")
        await it.play("clone_taken")
        await it.send("clone_ok")
        await it.play("protection_set", "delete_protected")
        await it.send("protection_set", body="delete=protection")
        await it.play("lock_set", "delete_locked", "start_locked", "status_current_locked", "unlock_via_config_delete")
        await it.play("unlock_via_config_delete_skiplock")
        guest_of(it, 101).lock_holder = "scenario"
        await it.play("config_put_lock_timeout")
        assert_as_recorded(it)


async def test_tasks(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        with_mixed(it.node)
        done = (await it.send("shutdown_forceStop")).json()["data"]
        failed = await it.send("start_bad_bridge_111")
        assert failed.status_code == 200
        it.node.hang_task("vzshutdown")
        running = (await it.send("shutdown_sysd")).json()["data"]
        base = f"/api2/json/nodes/pve1/tasks/{quote(running, safe='')}"
        await it.play("task_running_status", path=base + "/status")
        await it.play("task_running_log", path=base + "/log")
        await it.play("task_index", path=base)
        await it.play("task_log_perm_bob", path=base + "/log", who="bob@pve")
        await it.play("task_status_perm_bob", path=base + "/status", who="bob@pve")
        await it.play("task_abort", "task_abort_finished", path=base)
        await it.play("task_log_unknown_upid", "task_status_malformed_upid", "task_status_unknown_upid")
        await it.play("task_status_unquoted_upid", path=f"/api2/json/nodes/pve1/tasks/{done}/status")
        await it.play("tasks_cluster", "tasks_node", "tasks_node_active", "tasks_node_errors", "tasks_node_vmid")
        await it.play("tasks_node_bob", who="bob@pve")
        assert_as_recorded(it)


async def test_the_log_of_a_task_in_parts(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        done = (await it.send("create_ok_start_1_standard")).json()["data"]
        base = f"/api2/json/nodes/pve1/tasks/{quote(done, safe='')}/log"
        await it.play("task_create_done_log_default", path=base)
        await it.play("task_log_limit0", path=base + "?limit=0")
        await it.play("task_log_start_limit", path=base + "?start=2&limit=3")
        await it.play("task_log_download", path=base + "?download=1")
        assert_as_recorded(it)


async def test_backing_up(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("vzdump_stop_mode_ok", "storage_content_backup_one")
        assert_as_recorded(it)


async def test_one_vmid_asked_for_three_times_at_once(tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.play("create_race_same_vmid_1", "create_race_same_vmid_0", "create_race_same_vmid_2", "delete_race")
        assert_as_recorded(it)


@pytest.mark.parametrize("userid", sorted(PASSWORDS))
async def test_passwords_of_the_lab_are_the_recordings(userid: str, tmp_path: Path) -> None:
    async with lab(tmp_path) as it:
        await it.headers(userid, csrf=False)
        assert it.tickets[userid]["username"] == userid
