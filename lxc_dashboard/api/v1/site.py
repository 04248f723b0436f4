"""The API's routes. The middleware has checked the token, except for the description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.v1 import creations, jobs
from lxc_dashboard.api.v1.acts import act_routes
from lxc_dashboard.api.v1.answers import JSON, problem
from lxc_dashboard.api.v1.openapi import document
from lxc_dashboard.errors import NotFoundError

if TYPE_CHECKING:
    from starlette.requests import Request

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_ONE: Final = f"{routes.API_CREATIONS}/{{job_id}}"
_JOB: Final = f"{routes.API_JOBS}/{{job_id}}"


def v1_routes() -> list[BaseRoute]:
    known = [
        Route(routes.API_DOCUMENT, describe, methods=["GET"]),
        Route(routes.API_CREATIONS, creations.list_creations, methods=["GET"]),
        Route(routes.API_CREATIONS, creations.create, methods=["POST"]),
        Route(_ONE, creations.read, methods=["GET"]),
        Route(_ONE, creations.destroy, methods=["DELETE"]),
        Route(f"{_ONE}/log", creations.log, methods=["GET"]),
        Route(f"{_ONE}/credentials", creations.reveal, methods=["POST"]),
        Route(f"{_ONE}/cancel", creations.cancel, methods=["POST"]),
        Route(f"{_ONE}/go-on", creations.go_on, methods=["POST"]),
        Route(f"{_ONE}/retry", creations.retry, methods=["POST"]),
        *act_routes(),
        Route(routes.API_JOBS, jobs.list_jobs, methods=["GET"]),
        Route(_JOB, jobs.read, methods=["GET"]),
        Route(f"{_JOB}/log", jobs.log, methods=["GET"]),
        Route(f"{_JOB}/cancel", jobs.cancel, methods=["POST"]),
        Route(f"{_JOB}/retry", jobs.retry, methods=["POST"]),
    ]

    async def unknown(request: Request) -> Response:
        """405 for another method of an existing path, else 404."""
        matches = [route for route in known if route.matches(request.scope)[0] is Match.PARTIAL]
        if not matches:
            return problem(404, NotFoundError().user_message)
        allowed = sorted({method for route in matches for method in route.methods or ()})
        return problem(405, text.API_METHOD_NOT_ALLOWED.format(methods=", ".join(allowed)), Allow=", ".join(allowed))

    return [*known, Route(f"{routes.API_V1}/{{rest:path}}", unknown, methods=list(METHODS))]


async def describe(request: Request) -> Response:
    del request
    return Response(document(), media_type=JSON)
