"""Passwords that must not be shown or recorded."""

import re

USER = r"://(?:[^/\s:@]*|[^/\s:]*(?=:(?!\d{1,5}(?:[/?\s]|$))))"
"""From the scheme to the end of the user, who may be `user@server`; but a host and its port are none."""

PASSWORD = re.compile(rf"({USER}):\S+@")
"""From the colon after the user to the last `@` of the word: a password may hold `/` and `@` itself."""


def masked(text: str) -> str:
    """Hide the password of every `scheme://user:password@host` in the text."""
    return PASSWORD.sub(r"\1:***@", text)
