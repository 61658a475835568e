"""Every command is there and explains itself."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.main import app

COMMANDS = ("up", "serve", "worker", "generate", "methods", "models", "openapi", "demo")
GROUPS = {"keys": ("create", "list", "revoke"), "webhooks": ("secret", "rotate")}
SUBCOMMANDS = [f"{group} {command}" for group, commands in GROUPS.items() for command in commands]
run = CliRunner().invoke


def test_help_lists_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in (*COMMANDS, *GROUPS))


@pytest.mark.parametrize("command", [*sorted(set(COMMANDS) - {"openapi"}), *SUBCOMMANDS])
def test_help_of_a_command_shows_examples(command: str) -> None:
    done = run(app, [*command.split(), "--help"])
    assert done.exit_code == 0
    assert "Examples" in done.output
    assert f"guidepost {command}" in done.output


def test_an_unknown_command_is_an_error() -> None:
    assert run(app, ["generat"]).exit_code == 2
