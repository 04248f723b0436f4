"""A worker for the tests' tasks, run as a command. It reaps every second, as tests wait for it."""

from __future__ import annotations

from lxc_dashboard import logs
from lxc_dashboard.settings import Settings
from tasks.app import create_app, run_worker

if __name__ == "__main__":
    settings = Settings.load()
    logs.configure(settings.LOG_LEVEL)
    app = create_app(settings, task_modules=["tests.integration.queue.probe_tasks"])
    app.conf.beat_schedule["reap jobs"]["schedule"] = 1
    run_worker(app)
