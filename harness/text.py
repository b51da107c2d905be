"""Words and lines for people, whatever a plugin wrote."""


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
