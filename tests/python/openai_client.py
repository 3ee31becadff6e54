"""Asks a running server what programs ask the real API, through its official client.

Usage: openai_client.py BASE_URL API_KEY MODEL IMAGE
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import openai
from pydantic import BaseModel

BASE_URL, API_KEY, MODEL, IMAGE = sys.argv[1:]
client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=120)
DATA_URL = "data:image/png;base64," + base64.b64encode(Path(IMAGE).read_bytes()).decode()
ASK = [{"role": "user", "content": 'click "Save"'}]
CLICK = {
    "type": "function",
    "function": {
        "name": "click",
        "description": "Clicks a button.",
        "parameters": {
            "type": "object",
            "properties": {
                "button": {"type": "string", "enum": ["left", "right"]},
                "at": {"type": "integer", "minimum": 10, "maximum": 99},
            },
            "required": ["button", "at"],
            "additionalProperties": False,
        },
    },
}


def models():
    listed = [model.id for model in client.models.list()]
    assert listed == [MODEL], listed
    assert client.models.retrieve(MODEL).object == "model"


def plain_answer():
    answer = client.chat.completions.create(model=MODEL, messages=ASK, max_completion_tokens=12)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.model == MODEL
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length"), choice.finish_reason
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    assert answer._request_id.startswith("req_")


def image_answer():
    content = [
        {"type": "image_url", "image_url": {"url": DATA_URL}},
        {"type": "text", "text": 'click "Save"'},
    ]
    create = client.chat.completions.create
    ask = dict(model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=16)
    with_image = create(**ask)
    small = create(**ask, extra_body={"mm_processor_kwargs": {"max_pixels": 28 * 28 * 16}})
    text_only = create(model=MODEL, messages=ASK, max_tokens=16)
    counts = [answer.usage.prompt_tokens for answer in (text_only, small, with_image)]
    assert counts == sorted(set(counts)), counts


def streaming():
    ask = dict(model=MODEL, messages=ASK, max_tokens=12, logprobs=True, top_logprobs=3)
    whole = client.chat.completions.create(**ask)
    text, tokens, reason, usage, n_events = "", [], None, None, 0
    stream = client.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        n_events += 1
        assert chunk.object == "chat.completion.chunk"
        if not chunk.choices:
            usage = chunk.usage
            continue
        choice = chunk.choices[0]
        text += choice.delta.content or ""
        tokens += choice.logprobs.content if choice.logprobs else []
        reason = choice.finish_reason or reason
    choice = whole.choices[0]
    assert (text, reason) == (choice.message.content, choice.finish_reason), (text, reason)
    assert tokens == choice.logprobs.content
    assert "".join(token.token for token in tokens) == text
    assert usage.completion_tokens == whole.usage.completion_tokens == len(tokens)
    assert n_events > 3, "the answer came in one piece"
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
        assert bytes(token.bytes).decode() == token.token


def several_answers():
    ask = dict(model=MODEL, messages=ASK, max_tokens=8, n=3, temperature=1.5)
    texts = lambda answer: [choice.message.content for choice in answer.choices]
    once = texts(client.chat.completions.create(**ask, seed=7))
    again = texts(client.chat.completions.create(**ask, seed=7))
    assert len(once) == 3 and once == again, (once, again)
    assert len(set(once)) > 1, once


class Place(BaseModel):
    label: str
    x: int


def structured_answer():
    schema = {
        "type": "object",
        "properties": {
            "button": {"enum": ["OK", "Cancel"]},
            "at": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99},
                   "minItems": 2, "maxItems": 2},
        },
        "required": ["button", "at"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=MODEL, messages=ASK, max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": schema}},
    )
    value = json.loads(answer.choices[0].message.content)
    assert list(value) == ["button", "at"] and value["button"] in ("OK", "Cancel"), value
    assert len(value["at"]) == 2 and all(0 <= n <= 99 for n in value["at"]), value

    # The client makes the schema of a class, and the class of the answer. What a string or number
    # may not be, the schema does not say, so a bound is put to them here.
    class Bounded(Place):
        model_config = {"json_schema_extra": lambda schema: bound(schema)}

    parsed = client.chat.completions.parse(
        model=MODEL, messages=ASK, max_tokens=100, response_format=Bounded
    )
    assert isinstance(parsed.choices[0].message.parsed, Bounded)


def bound(schema):
    schema["properties"]["label"]["maxLength"] = 8
    schema["properties"]["x"].update(minimum=0, maximum=999)


def tools():
    ask = dict(model=MODEL, messages=ASK, max_tokens=100, tools=[CLICK])
    create = client.chat.completions.create
    choice = create(**ask, tool_choice="required", parallel_tool_calls=False).choices[0]
    assert choice.finish_reason == "tool_calls", choice
    [call] = choice.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.type == "function" and call.id and call.function.name == "click"
    assert set(arguments) == {"button", "at"} and 10 <= arguments["at"] <= 99, arguments

    named = create(**ask, tool_choice={"type": "function", "function": {"name": "click"}})
    assert len(named.choices[0].message.tool_calls) == 1

    none = create(**ask, tool_choice="none").choices[0]
    assert none.message.tool_calls is None and none.message.content is not None

    streamed = create(**ask, tool_choice="required", parallel_tool_calls=False, stream=True)
    name, text, ids = "", "", set()
    for chunk in streamed:
        for delta in chunk.choices[0].delta.tool_calls or []:
            assert delta.index == 0
            name += delta.function.name or ""
            text += delta.function.arguments or ""
            ids |= {delta.id} - {None}
    assert (name, json.loads(text)) == ("click", arguments), (name, text)
    assert len(ids) == 1

    # The answer goes back with its result, as an agent's loop does it.
    messages = ASK + [
        choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": "done"},
    ]
    after = create(model=MODEL, messages=messages, tools=[CLICK], max_tokens=4)
    before = create(model=MODEL, messages=ASK, tools=[CLICK], max_tokens=4)
    assert after.usage.prompt_tokens > before.usage.prompt_tokens


def extensions():
    create = client.chat.completions.create
    ask = dict(model=MODEL, messages=ASK, max_tokens=40)
    text = create(**ask, extra_body={"guided_regex": "[0-9]{3}-[ab]"}).choices[0].message.content
    assert len(text) == 5 and text[3] == "-" and text[:3].isdigit() and text[4] in "ab", text
    choice = create(**ask, extra_body={"guided_choice": ["left", "right"]})
    assert choice.choices[0].message.content in ("left", "right")
    grammar = {"guided_grammar": 'start: "go " WHERE\nWHERE: "up" | "down"\n'}
    assert create(**ask, extra_body=grammar).choices[0].message.content in ("go up", "go down")
    sampled = create(
        **ask, seed=1, temperature=1.0,
        extra_body={"top_k": 1, "repetition_penalty": 1.1, "ignore_eos": True},
    )
    assert sampled.usage.completion_tokens == 40
    assert sampled.choices[0].finish_reason == "length"


def stop():
    ask = dict(model=MODEL, messages=ASK, max_tokens=12)
    text = client.chat.completions.create(**ask).choices[0].message.content
    end = text[len(text) // 2]
    choice = client.chat.completions.create(**ask, stop=[end]).choices[0]
    assert choice.message.content == text[: text.index(end)] and choice.finish_reason == "stop"


def errors():
    def refused(kind, **ask):
        try:
            client.chat.completions.create(**{"model": MODEL, "messages": ASK, **ask})
        except kind as error:
            return error
        raise AssertionError(f"{kind.__name__} was not raised for {ask}")

    assert refused(openai.NotFoundError, model="gpt-none").code == "model_not_found"
    error = refused(openai.BadRequestError, temperature=3)
    assert (error.param, error.code) == ("temperature", "decimal_above_max_value"), error
    assert refused(openai.BadRequestError, max_tokens=10**6).code == "context_length_exceeded"
    assert refused(openai.BadRequestError, extra_body={"odd": 1}).code == "unknown_parameter"
    remote = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    messages = [{"role": "user", "content": remote}]
    assert refused(openai.BadRequestError, messages=messages).code == "invalid_image_url"
    # Also before a stream begins.
    refused(openai.BadRequestError, stream=True, extra_body={"guided_regex": "("})

    stranger = openai.OpenAI(base_url=BASE_URL, api_key="wrong", max_retries=0)
    try:
        stranger.models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key"
    else:
        raise AssertionError("a wrong key was taken")


async def together():
    """Many at once, as an agent with several windows asks."""
    asking = openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=120)
    alone = client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=12)

    async def ask():
        stream = await asking.chat.completions.create(
            model=MODEL, messages=ASK, max_tokens=12, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    texts = await asyncio.gather(*(ask() for _ in range(8)))
    assert set(texts) == {alone.choices[0].message.content}, texts


for check in (models, plain_answer, image_answer, streaming, several_answers, structured_answer,
              tools, extensions, stop, errors):
    check()
    print("ok", check.__name__, flush=True)
asyncio.run(together())
print("ok together")
