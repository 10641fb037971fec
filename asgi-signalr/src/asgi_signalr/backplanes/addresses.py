"""Where the URL of a backplane leads, in words that do not have the password."""

from urllib.parse import unquote, urlsplit

UNREADABLE = (
    "The backplane's URL cannot be read. A port is a number, followed by a slash; characters such as / ? # : @ [ ] in "
    "the user or in the password are written with percent signs, as urllib.parse.quote(password, safe='') does."
)


def hosts_of(url: str) -> str:
    """The hosts of a URL with their ports, separated by commas; empty if it names none.

    Raises:
        ValueError: a port is no number, as it seems to be where a password is not quoted.

    """
    try:
        parts = urlsplit(url)
        _, at, hosts = parts.netloc.rpartition("@")
        for host in hosts.split(","):
            _ = urlsplit(f"//{host}").port  # raises ValueError for what is no number
    except ValueError:  # with a piece of the URL, perhaps of the password
        raise ValueError(UNREADABLE) from None
    if parts.fragment or (not at and "@" in parts.path):
        raise ValueError(UNREADABLE)
    return unquote(hosts)
