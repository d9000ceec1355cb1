"""The reference of the commands is what the commands say of themselves."""

from __future__ import annotations

from instantiator.manual import FILE, render_reference


def test_the_reference_of_commands_is_up_to_date() -> None:
    assert FILE.read_text() == render_reference(), "write it again: python -m instantiator.manual"


def test_every_command_names_its_json_keys() -> None:
    sections = render_reference().split("\n## ")[1:]
    assert [
        section.split("\n")[0] for section in sections if "Keys: " not in section and "keys " not in section
    ] == []
