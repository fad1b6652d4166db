"""Addresses of downloads, which may hold passwords and tokens."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote, urlsplit

__all__ = ["Address"]


class Address:
    """The address of a file on a server, and what of it may be shown.

    Attributes
    ----------
    key : str
        A name for it in a folder of files, from which it cannot be read.
    shown : str
        The address without user, password and query.

    Examples
    --------
    >>> Address("https://me:secret@example.org/a.zip?token=1").shown
    'https://***@example.org/a.zip?***'
    """

    def __init__(self, url: str):
        self.url = url
        self.key = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.shown = self.without_secrets(url)

    def without_secrets(self, text: str) -> str:
        """Return `text` with the address's user, password and query blotted out."""
        before, _, rest = self.url.partition("://")
        place = (rest if _ else before).split("/", 1)[0]
        secrets = [place.rpartition("@")[0]]
        try:
            parts = urlsplit(self.url)
            secrets += [parts.query, parts.password or "", parts.username or ""]
        except ValueError:  # no address at all: requests will say so
            pass
        secrets = [s for secret in secrets if secret for s in (secret, unquote(secret))]
        for secret in sorted(set(secrets), key=len, reverse=True):
            if len(secret) > 2 or secret == secrets[0]:
                text = text.replace(secret, "***")
        return text
