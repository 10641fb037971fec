"""Where a person's browser finds a page of this machine, if that is far away: in a codespace every port has a name."""

import os
import re

_PAGE = re.compile(r"http://(?:127\.0\.0\.1|localhost):(\d+)")


def host(port: int) -> str | None:
    """The name by which the browser reaches this port of a codespace; None where there is no such proxy."""
    space, domain = os.environ.get("CODESPACE_NAME"), os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    return f"{space}-{port}.{domain}" if space and domain else None


def page(url: str) -> str:
    """The address that a person opens for a page of this machine: the page's own, or the proxy's."""
    match = _PAGE.match(url)
    name = host(int(match[1])) if match else None
    return f"https://{name}{url[match.end() :]}" if match and name else url
