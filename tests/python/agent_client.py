"""Uses a screen through the agent API of `handsight serve`, as any HTTP client can.

Usage: agent_client.py BASE_URL TOKEN
"""

import json
import sys
import threading

import httpx2

BASE_URL, TOKEN = sys.argv[1:]
client = httpx2.Client(
    base_url=BASE_URL, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120, trust_env=False
)


def ok(response, status=200):
    assert response.status_code == status, (response.status_code, response.text)
    return response.json() if response.content else None


def refused(response, status, code):
    assert response.status_code == status, (response.status_code, response.text)
    error = response.json()["error"]
    assert error["code"] == code, error
    return error["message"]


assert httpx2.get(f"{BASE_URL}/agent/sessions", trust_env=False).status_code == 401

session = ok(client.post("/agent/sessions"), 201)
here = f"/agent/sessions/{session['session']}"
assert session["width"] == 560 and "left_click" in session["tools"], session
assert "right_click" not in session["tools"]
refused(client.post("/agent/sessions"), 409, "session_open")
assert [s["session"] for s in ok(client.get("/agent/sessions"))["sessions"]] == [session["session"]]

picture = client.get(f"{here}/screenshot")
assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")

# The server listens for those who want to know, from the first event on.
events = []


def listen():
    with client.stream("GET", f"{here}/events", headers={"Last-Event-ID": "0"}) as response:
        kind = None
        for line in response.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((kind, json.loads(line.removeprefix("data: "))))


listener = threading.Thread(target=listen, daemon=True)
listener.start()


def step(tool, arguments):
    return client.post(f"{here}/step/{tool}", json=arguments)


seen = ok(step("observe", {}))
assert seen["ok"] and seen["image"] and seen["value"]["window"]["title"] == "Profile", seen["value"]
found = ok(step("ground", {"target": "City"}))
assert found["value"]["found"], found
message = refused(step("right_click", {"target": [5, 5]}), 403, "refused")
assert "safety policy" in message, message
refused(step("left_click", {"target": [640, 1]}), 400, "bad_input")
refused(step("left_click", {}), 400, "bad_input")
refused(step("explode", {}), 404, "no_such_tool")
refused(client.get("/agent/sessions/none"), 404, "not_found")
assert client.post(f"{here}/step/observe", content="{}").status_code == 415

# A run that is cancelled is over at once, and holds nothing up.
run = ok(client.post(f"{here}/run/run_goal", json={"goal": 'click "Save"', "max_steps": 9}), 202)
assert run["status"] == "running", run
assert client.delete(f"{here}/runs/{run['run']}").status_code == 204
assert ok(client.get(f"{here}/runs/{run['run']}"))["status"] == "cancelled"
assert ok(step("observe", {}))["value"]["window"]["title"] == "Profile"

goal = 'type "Ada" into "First Name", type "Paris" into "City", then click "Save"'
run = ok(client.post(f"{here}/run/run_goal", json={"goal": goal}), 202)
while (run := ok(client.get(f"{here}/runs/{run['run']}")))["status"] == "running":
    threading.Event().wait(0.2)
assert run["status"] == "done" and run["result"]["ok"], run
assert run["result"]["value"]["stop_reason"] == "claimed_success", run

assert client.delete(here).status_code == 204
refused(client.get(here), 404, "not_found")
listener.join(20)
assert not listener.is_alive(), "the events do not end with the session"
kinds = [kind for kind, _ in events]
assert kinds.count("step") >= 3 and kinds[0] == "run", kinds
assert {data["status"] for kind, data in events if kind == "run"} == {"running", "cancelled", "done"}, events
steps = [data["event"] for kind, data in events if kind == "step" and data["run"] == run["run"]]
assert [s["step"] for s in steps] == sorted(s["step"] for s in steps) and steps[0]["of"] == 20, steps
print("ok agent")
