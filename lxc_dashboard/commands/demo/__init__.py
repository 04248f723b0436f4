"""``lxc-dashboard demo``: everything on one machine, with a sandbox node instead of a real PVE."""
