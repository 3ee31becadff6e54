"""Uses a screen through the official client of the Model Context Protocol.

Usage: mcp_client.py form|answers auto|legacy URL TOKEN
       mcp_client.py form|answers auto|legacy COMMAND [ARGUMENT...]

`form` fills in a form with the embedded model and without; `answers` asks a server that says what it
was told to say.
"""

import asyncio
import base64
import os
import struct
import sys
import time

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

TASK, MODE, *SERVER = sys.argv[1:]


def connect():
    if SERVER[0].startswith("http"):
        url, token = SERVER
        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)
        return streamable_http_client(url, http_client=http)
    return StdioServerParameters(command=SERVER[0], args=SERVER[1:], env=dict(os.environ))


def fine(result):
    assert not result.is_error, result
    return result.structured_content


def refusal(result):
    assert result.is_error, result
    return result.content[0].text


async def tools(client):
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {"observe", "ground", "ask", "extract", "expect", "act", "run_goal", "run_scenario",
            "list_devices", "left_click", "type", "key"} <= set(listed), sorted(listed)
    # The safety policy takes it away.
    assert "right_click" not in listed
    for tool in listed.values():
        assert tool.description and tool.output_schema["type"] == "object", tool
    assert listed["observe"].annotations.read_only_hint is True
    assert listed["left_click"].annotations.destructive_hint is True
    properties = listed["left_click"].input_schema["properties"]
    assert list(properties) == ["target"], properties


async def looking(client):
    result = await client.call_tool("observe")
    seen = fine(result)
    image = base64.b64decode(result.content[1].data)
    assert result.content[1].mime_type == "image/png"
    assert struct.unpack(">II", image[16:24]) == (seen["width"], seen["height"]) == (560, 420)
    assert seen["window"]["title"] == "Profile", seen
    found = fine(await client.call_tool("ground", {"target": "City"}))
    assert found["found"] and len(found["point"]) == 2, found
    devices = fine(await client.call_tool("list_devices"))
    assert devices["monitors"][0]["width"] == 560, devices


async def refusals(client):
    said = refusal(await client.call_tool("right_click", {"target": [5, 5]}))
    assert "the safety policy does not allow this `right_click`" in said, said
    said = refusal(await client.call_tool("left_click", {"target": [640, 5]}))
    assert "lies outside" in said, said
    said = refusal(await client.call_tool("left_click", {"targets": [5, 5]}))
    assert "there is no `targets`, only `target`" in said, said
    said = refusal(await client.call_tool("run_scenario", {"file": "x.yaml"}))
    assert "--scenarios" in said, said
    said = refusal(await client.call_tool("ask", {"question": "Which button is blue?"}))
    assert "answers no questions" in said, said
    try:
        await client.call_tool("explode")
    except MCPError as error:
        assert "no tool `explode`" in str(error), error
    else:
        raise AssertionError("there is a tool that there is not")


async def cancelling(client):
    start = time.monotonic()
    call = asyncio.create_task(client.call_tool("wait", {"time": 50}))
    await asyncio.sleep(0.5)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    # What was cancelled does not hold up what comes after it, and input is not left paused.
    fine(await client.call_tool("mouse_move", {"target": [6, 6]}))
    assert time.monotonic() - start < 20


async def goal(client):
    told = []

    async def progress(done, total, message):
        told.append((done, total, message))

    run = fine(await client.call_tool(
        "run_goal",
        {"goal": 'type "Ada" into "First Name", type "Paris" into "City", then click "Save"'},
        progress_callback=progress,
    ))
    assert run["claimed"] and run["stop_reason"] == "claimed_success", run
    assert [step["action"]["action"] for step in run["steps"]][-2:] == ["left_click", "terminate"]
    assert len(told) >= 3 and all(total == 20 for _, total, _ in told), told
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told}), told


async def form(client):
    assert client.server_info.name == "handsight" and "Observe first" in client.instructions
    await tools(client)
    await looking(client)
    await refusals(client)
    await cancelling(client)
    await goal(client)


async def answers(client):
    result = fine(await client.call_tool("ask", {"question": "What is the total?"}))
    assert result == {"answer": "41.50"}, result
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    arguments = {"question": "the total", "schema": schema}
    assert fine(await client.call_tool("extract", arguments)) == {"value": {"total": 41.5}}
    for holds in (True, False):
        arguments = {"claim": "the form is empty", "within": 0}
        result = fine(await client.call_tool("expect", arguments))
        assert result == {"holds": holds, "probability": 1.0 if holds else 0.0}, result


async def main():
    async with Client(connect(), mode=MODE, read_timeout_seconds=120) as client:
        await {"form": form, "answers": answers}[TASK](client)
    print(f"ok {TASK} {MODE}")


asyncio.run(main())
