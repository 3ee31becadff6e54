"""A client of `handsight serve` for those who have a device of their own: screenshots out, actions in.

Nothing but the standard library. `docs` of the protocol: `/agent/openapi.json` of the server.
"""

import base64
import http.client
import json
import socket
import struct
import time
import urllib.error
import urllib.request
import uuid
import zlib

__all__ = ["EpisodeClient", "ServerError", "png"]

# Statuses after which the same request may be sent again: too busy, and going down.
AGAIN = (429, 502, 503, 504)


class ServerError(Exception):
    """The server refused a request, or there is none.

    `status` is that of HTTP, 0 if nobody answered; `code` is a word for programs.
    """

    def __init__(self, message, status=0, code=None):
        super().__init__(message)
        self.status = status
        self.code = code


class EpisodeClient:
    """Speaks to one server. Requests that fail on the way are sent again under the same `request_id`.

    `timeout` is the longest a decision may take, in seconds; `retries` how often a request is sent again.
    """

    def __init__(self, url="http://127.0.0.1:8080", token=None, timeout=600.0, retries=2, pause=1.0):
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"`{url}` is no address of a server, such as http://127.0.0.1:8080")
        self.url = url.rstrip("/").removesuffix("/v1")
        self.token = token
        self.timeout = timeout
        self.retries = retries
        self.pause = pause

    def begin(self, goal, platform, **wanted):
        """Begins an episode; `wanted` are the other fields of the request."""
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return self._ask("POST", "/agent/episodes", {"protocol": 1, "goal": goal, "platform": platform, **wanted})

    def step(self, episode, screenshot, **seen):
        """Sends a screenshot, the bytes of a PNG, and returns what to do on it."""
        seen = {name: value for name, value in seen.items() if value is not None}
        seen.setdefault("request_id", uuid.uuid4().hex)
        seen["screenshot"] = base64.b64encode(screenshot).decode("ascii")
        return self._ask("POST", f"/agent/episodes/{episode}/step", seen)

    def end(self, episode):
        """Ends an episode. One that has ended already is no error."""
        try:
            self._ask("DELETE", f"/agent/episodes/{episode}")
        except ServerError as error:
            if error.status != 404:
                raise

    def _ask(self, method, path, body=None):
        for attempt in range(self.retries + 1):
            try:
                return self._send(method, path, body)
            except ServerError as error:
                if error.status not in (0, *AGAIN) or attempt == self.retries:
                    raise
            time.sleep(self.pause * 2**attempt)

    def _send(self, method, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        # A proxy of the environment must not see what the screen shows.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self.timeout) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except (urllib.error.URLError, http.client.HTTPException, socket.timeout, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise ServerError(f"no answer from {self.url}: {reason}") from error
        except ValueError as error:
            raise ServerError(f"{self.url} did not answer with JSON: is it `handsight serve`?") from error


def _refusal(error):
    try:
        problem = json.loads(error.read())["error"]
        return ServerError(problem["message"], error.code, problem["code"])
    except (ValueError, KeyError, TypeError, OSError):
        return ServerError(f"the server answered {error.code} without saying why", error.code)


def png(pixels):
    """Writes an array of 8-bit pixels, height x width x 3 or 4 channels, as the bytes of a PNG; alpha is left out."""
    height, width, channels = pixels.shape
    if channels not in (3, 4) or str(pixels.dtype) != "uint8":
        raise ValueError(f"expected 8-bit RGB pixels, not {channels} channels of {pixels.dtype}")
    rgb = pixels[:, :, :3].tobytes()
    rows = b"".join(b"\0" + rgb[start : start + 3 * width] for start in range(0, len(rgb), 3 * width))

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
