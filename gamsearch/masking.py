"""Passwords that must not be shown or recorded."""

import re

PASSWORD = re.compile(r"(://[^/\s:@]*):\S+@")
"""From the colon after the user to the last `@` of the word: a password may hold `/` and `@` itself."""


def masked(text: str) -> str:
    """Hide the password of every `scheme://user:password@host` in the text."""
    return PASSWORD.sub(r"\1:***@", text)
