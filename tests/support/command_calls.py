"""Commands called in this process: what they print, how they end, and the sentence of an error."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from edgebll.cli.app import app

TRAIN = ["train", "--data", "digits", "--network", "mlp", "--blocks", "2", "--limit", "128", "--epochs", "1", "--threads", "1"]


def call(*arguments: str | Path, code: int = 0, env: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def sentence(result: Result) -> str:
    """The one line of an error, without what else was told on stderr."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("edgebll: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]
