"""A request to an address that somebody typed in: it may reach the internet, and of private networks those the operator named.

The name is resolved once, every address it has is checked, and the connection goes to a checked one, so that a name that answers
differently the second time gains nothing. Redirects are not followed, proxies of the environment not used, answers not read.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from ground.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
ALL_SECONDS = 15.0
"""Resolving, connecting, sending and the answer's headers together."""
LONGEST_URL = 500
NAT64 = ipaddress.ip_network("64:ff9b::/96")
SITE_LOCAL = ipaddress.ip_network("fec0::/10")


@dataclass(frozen=True)
class Answer:
    """`final`: asking again would change nothing."""

    status: int | None
    error: str = ""
    final: bool = False


def check_url(url: str) -> None:
    """What can be told without resolving. Errors: Invalid."""
    try:
        parsed = httpx.URL(url)
        problem = _problem(parsed, url)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        problem = str(error)
    if problem:
        raise Invalid(
            _("This is no address for a webhook: %s.") % problem,
            hint=_("Write it as https://example.org/path."),
            problems={"url": problem},
        )


def _problem(parsed: httpx.URL, url: str) -> str:
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        return _("it has up to %d characters, without spaces") % LONGEST_URL
    if parsed.scheme not in ("https", "http") or not parsed.host:
        return _("it does not begin with https:// and a name")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        return _("%d is no port") % parsed.port
    if parsed.userinfo or parsed.fragment:
        return _("it carries a password or a fragment; the signature tells receivers who asks")
    literal = _literal(parsed.host)
    if literal is not None and not allowed(literal):
        return _("%s is in a private network, which the operator did not allow") % parsed.host
    if parsed.scheme == "http" and not settings.WEBHOOK_NETWORKS:
        return _("without https anybody on the way reads what is sent")
    return ""


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def allowed(address: Address) -> bool:
    """On the public internet, or in a network that the operator named."""
    address = unwrapped(address)
    public = address.is_global and not address.is_multicast and not address.is_reserved
    return named(address) or (public and address not in SITE_LOCAL)


def named(address: Address) -> bool:
    return any(unwrapped(address) in network for network in settings.WEBHOOK_NETWORKS)


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


async def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Never raises: whatever goes wrong is in the answer."""
    try:
        async with asyncio.timeout(ALL_SECONDS):
            return await _post(httpx.URL(url), body, headers)
    except TimeoutError:
        return Answer(None, _("No answer within %d seconds.") % ALL_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:300])


async def _post(url: httpx.URL, body: bytes, headers: dict[str, str]) -> Answer:
    addresses = await _resolve(url)
    refused = [address for address in addresses if not allowed(address)]
    if refused:
        return Answer(None, _("%s is in a private network, which the operator did not allow.") % refused[0], final=True)
    if url.scheme == "http" and not all(map(named, addresses)):
        return Answer(None, _("Without https messages go only to networks that the operator named."), final=True)
    return await _first_that_connects(url, addresses, body, headers)


async def _resolve(url: httpx.URL) -> list[Address]:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    return [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]


async def _first_that_connects(
    url: httpx.URL, addresses: list[Address], body: bytes, headers: dict[str, str]
) -> Answer:
    last = Answer(None, _("The name has no address."))
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=ALL_SECONDS) as client:
        for address in dict.fromkeys(addresses):
            request = client.build_request(
                "POST",
                url.copy_with(host=str(address)),
                content=body,
                headers={**headers, "Host": url.netloc.decode()},
                extensions={**_timeouts(), "sni_hostname": url.raw_host.decode()},
            )
            try:
                answer = await client.send(request, stream=True)
            except httpx.ConnectError as error:
                last = Answer(None, f"{type(error).__name__}: {error}"[:300])
                continue
            await answer.aclose()
            return _read(answer.status_code)
    return last


def _timeouts() -> dict[str, dict[str, float]]:
    return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), ALL_SECONDS)}


def _read(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(status)
    if 300 <= status < 400:
        return Answer(status, _("It redirects, which is not followed. Name the address it leads to."))
    if status == 410:
        return Answer(status, _("The receiver says that it is gone."), final=True)
    return Answer(status, _("The receiver answered %d.") % status)
