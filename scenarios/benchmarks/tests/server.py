"""A stand-in for `handsight serve` that answers steps with a script. No model is behind it."""

import base64
import http.server
import json
import threading


class ScriptedServer:
    """Answers steps with `script`, an entry each: an answer, an HTTP status, or `drop` to hang up."""

    def __init__(self, script=()):
        self.script = list(script)
        self.begun, self.seen, self.ended, self.headers = [], [], [], []
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def answer(*actions, said=None, done=False, **more):
    """Returns an answer to a step; `said` are AndroidWorld's forms, none by default."""
    return {
        "actions": list(actions), "android_world": said or [None] * len(actions), "done": done, "stop_reason": None,
        "thought": "because", "raw_output": "raw", "usage": None, "model": {"id": "scripted"}, "error": None, **more,
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.stand_in.headers.append(self.headers)
        if self.path == "/agent/episodes":
            self.stand_in.begun.append(body)
            return self._send(201, {"episode": f"episode_{len(self.stand_in.begun)}", "model": {"id": "scripted"}})
        body["png"] = base64.b64decode(body.pop("screenshot"))
        self.stand_in.seen.append(body)
        entry = self.stand_in.script.pop(0)
        if entry == "drop":
            return self.connection.close()
        if isinstance(entry, int):
            return self._send(entry, {"error": {"message": f"refused with {entry}", "code": "scripted"}})
        return self._send(200, entry)

    def do_DELETE(self):
        self.stand_in.ended.append(self.path.rsplit("/", 1)[1])
        self._send(204, None)

    def _send(self, status, body):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass
