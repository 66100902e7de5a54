"""Storage URLs: which ones are valid, and how to display them without the password."""

import re
from urllib.parse import quote

from gamsearch.errors import OptionError

USER = r"://(?:[^/\s:@]*|[^/\s:]*(?=:(?!\d{1,5}(?:[/?\s]|$))))"
"""From the scheme to the end of the user name, which may be `user@server`, but not a host followed by a port."""

PASSWORD = re.compile(rf"({USER}):\S+@")
"""From the colon after the user to the last `@` of the word: a password may itself contain `/` and `@`."""

ENCLOSED = re.compile(rf"({USER}:)(\S+)@")
"""The password alone. It may contain URL delimiters, which must be percent-encoded for a database driver."""

FORM = re.compile(r"(grpcs?|sqlite|postgresql|mysql|mariadb)(\+\w+)?://\S+")


def masked(text: str) -> str:
    """Replace the password in every `scheme://user:password@host` with `***`.

    Args:
        text: Any text, such as a URL, a command line or an error message.

    Returns:
        The text without passwords. Text that is already masked does not change.
    """
    return PASSWORD.sub(r"\1:***@", text)


def percent_encoded(url: str) -> str:
    """Percent-encode the password of a database URL."""
    return ENCLOSED.sub(lambda found: f"{found[1]}{quote(found[2], safe='%')}@", url)


def check_url(url: str) -> None:
    """Raise `OptionError` unless `--storage` is a valid storage URL; the message never contains the URL."""
    if not FORM.fullmatch(url):
        raise OptionError(
            "--storage must be the URL of an Optuna storage, such as postgresql://user@host/database, sqlite:///a.db "
            "or grpc://host:13000; the given value is not displayed because it may contain a password"
        )
    if re.search(r"[?&]\w*(pass|pwd)\w*=", url, re.IGNORECASE):
        raise OptionError(
            "a password in --storage goes before the host, as in postgresql://user:password@host/database"
        )
    if url.startswith("grpc") and "@" in url:
        raise OptionError("--storage grpc:// and grpcs:// take only a host and a port, such as grpcs://host:13000")
    if not url.startswith("sqlite") and re.match(r"[^:]+://[^@/?]*/[^?]*:[^?]*@", url):
        raise OptionError("a / in the user of --storage must be written %2F")
