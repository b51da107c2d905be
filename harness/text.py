"""Words and lines for people, whatever a plugin wrote."""

import json


def one_line(value: object) -> str:
    """Text that stays on its line and leaves the terminal alone, whatever a plugin wrote."""
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "?" for character in text)


def bounded(text: str, most: int = 20_000) -> str:
    """Text that a file can hold: undecodable bytes of a name replaced, and the middle of one without end left out."""
    half = most // 2
    if len(text) > most:
        text = f"{text[:half]}\n... {len(text) - 2 * half:,} characters ...\n{text[-half:]}"
    return text.encode("utf-8", "replace").decode()


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def complaint(error: Exception) -> str:
    """What is wrong with a file that should hold JSON of some form, on one line: that it is none, or the key."""
    from pydantic import ValidationError  # which few commands need

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            return "not JSON"
        key = ".".join(map(str, first["loc"]))
        return one_line(f"{key}: {first['msg']}" if key else first["msg"])
    return "not JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else one_line(error)


def reason(error: str) -> str:
    """What a traceback says in the end, on one line: type and message, however many lines that has.

    A text that is no traceback is taken whole.
    """
    lines = error.strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    after = lines[frames[-1] + 1 :] if frames else lines
    while frames and after and after[0].startswith(" "):  # the source line, and marks under it
        after = after[1:]
    return one_line(" ".join(after))


def plain_lines(text: str, most: int) -> str:
    """At most so many characters of a text of several lines, without what colours a terminal or moves its cursor."""
    return "".join(sign for sign in text[:most] if sign == "\n" or sign.isprintable())
