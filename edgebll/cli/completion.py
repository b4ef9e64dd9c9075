"""Shell completion: the options that print or install it, for bash, zsh and fish."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from edgebll.kernel.errors import ConfigError, StorageError

SHELLS = ("bash", "zsh", "fish")


def answer_shells() -> None:
    """Let typer answer a shell that asks for completions; a command's group calls this before it reads its command line."""
    from typer._completion_classes import completion_init

    completion_init()


def shell_asks() -> bool:
    """Whether a shell has started this process to be told completions."""
    return any(name.startswith("_EDGEBLL") and name.endswith("_COMPLETE") for name in os.environ)


def detected_shell() -> str:
    """The shell that started this process, else the one in $SHELL.

    Raises:
        ConfigError: it is none of those that completion is made for.
    """
    import shellingham

    try:
        found = str(shellingham.detect_shell()[0])
    except (shellingham.ShellDetectionFailure, OSError):
        found = ""
    if found not in SHELLS:
        found = Path(os.environ.get("SHELL", "")).name
    if found not in SHELLS:
        which = f"not {found}" if found else "and which one this is cannot be told"
        raise ConfigError(f"completion is there for {', '.join(SHELLS)}, {which}; name yours, e.g. SHELL=zsh edgebll ...")
    return found


def _show(program: str, shell: str) -> None:
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name=program, complete_var=_variable(program), shell=shell))


def _install(program: str, shell: str) -> None:
    from typer._completion_shared import install

    try:
        path = install(shell=shell, prog_name=program, complete_var=_variable(program))[1]
    except OSError as error:
        place = error.filename or Path.home()
        reason = f"cannot write {place}: {error.strerror}; put what --show-completion prints where {shell} looks for it"
        raise StorageError(reason) from error
    typer.echo(f"completion for {shell} is in {path}; open a new terminal to use it")


def _variable(program: str) -> str:
    """How the shell's part tells the program that it asks."""
    return f"_{program.replace('-', '_').upper()}_COMPLETE"


def _asked(do: Callable[[str, str], None]) -> Callable[[typer.Context, bool], None]:
    def callback(ctx: typer.Context, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            do(str(ctx.find_root().info_name), detected_shell())
            raise typer.Exit

    return callback


def _option(name: str, do: Callable[[str, str], None], help: str) -> Any:
    return typer.Option(name, callback=_asked(do), is_eager=True, allow_from_autoenv=False, help=help)


InstallOption = Annotated[bool, _option("--install-completion", _install, "Let this shell complete commands and options.")]
ShowOption = Annotated[bool, _option("--show-completion", _show, "Print what --install-completion would write.")]
