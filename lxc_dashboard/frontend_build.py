"""The child process of ``frontend.ensure_built``: Reflex's export, without the files that its command adds to the project."""

from __future__ import annotations


def main() -> None:
    from reflex.utils import export, prerequisites
    from reflex_base import constants
    from reflex_base.environment import environment

    environment.REFLEX_COMPILE_CONTEXT.set(constants.CompileContext.EXPORT)
    prerequisites.initialize_reflex_user_directory()  # type: ignore[no-untyped-call]
    if prerequisites.needs_reinit():
        prerequisites.initialize_frontend_dependencies()  # type: ignore[no-untyped-call]
    export.export(zipping=False, frontend=True, backend=False, env=constants.Env.PROD)


if __name__ == "__main__":
    main()
