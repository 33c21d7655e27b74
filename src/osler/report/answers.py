"""What only people can answer: `answers.yaml` in the run folder, written once with every question, read at every
report.
"""

from __future__ import annotations

import json
from pathlib import Path

from osler.engine.files import write_atomic
from osler.engine.study import read_config
from osler.report.items import questions

NAME = "answers.yaml"
_HEAD = (
    "# What a program cannot know. Write each answer between the quotes, then run: osler report RUN\n"
    "# An answer left empty stays an open question in the report; nothing is made up for it.\n"
)


def read_answers(folder: Path) -> dict[str, str]:
    """Answers that are not empty, key → text; from answers.yaml, or answers.json where that is what there is.

    Raises:
        ReadError: the file is not `key: text` lines; the line is named.
        OptionError: a key is not one of the questions.
    """
    from osler.errors import OptionError, nearest

    path = next((folder / n for n in (NAME, "answers.json") if (folder / n).is_file()), None)
    if path is None:
        return {}
    known = questions()
    given = {key: str(value).strip() for key, value in read_config(path, "answers file").items()}
    for key in given:
        if key not in known:
            raise OptionError(
                f"key of {path.name} must be one of its questions, was '{key[:40]}': {nearest(key, known)}"
            )
    return {key: text for key, text in given.items() if text}


def write_questions(folder: Path) -> Path | None:
    """Write answers.yaml with every question and no answer, unless the user has one; the path if written."""
    if any((folder / n).exists() for n in (NAME, "answers.json")):
        return None
    lines = [f'\n# {key}: {text}\n{json.dumps(key)}: ""\n' for key, text in questions().items()]
    write_atomic(folder / NAME, (_HEAD + "".join(lines)).encode())
    return folder / NAME
