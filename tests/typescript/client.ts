// A client of the agent API whose types are made from its OpenAPI document: what the server says must fit them,
// and what does not fit them must not compile.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const [url, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

function sure<T>(value: T | undefined, error: unknown): T {
  if (value === undefined) throw new Error(JSON.stringify(error));
  return value;
}

const begun = await client.POST("/agent/sessions");
const { session, width } = sure(begun.data, begun.error);
const path = { session };

const seen = await client.POST("/agent/sessions/{session}/step/observe", { params: { path }, body: {} });
const observed: components["schemas"]["ObserveValue"] = sure(seen.data, seen.error).value;
if (observed.width !== width) throw new Error(`${observed.width} is not ${width}`);

const moved = await client.POST("/agent/sessions/{session}/step/left_click", {
  params: { path },
  body: { target: [3, 3] },
});
// On a picture an action is checked, and not performed.
const { ok, value } = sure(moved.data, moved.error);
if (!ok || value.performed || value.action.action !== "left_click") throw new Error(JSON.stringify(value));

const far = await client.POST("/agent/sessions/{session}/step/left_click", {
  params: { path },
  body: { target: [9999, 3] },
});
if (far.error?.error.code !== "bad_input") throw new Error(JSON.stringify(far));

// @ts-expect-error a click needs a target
await client.POST("/agent/sessions/{session}/step/left_click", { params: { path }, body: {} });
// @ts-expect-error no scroll goes sideways by words alone
const wrong: components["schemas"]["ScrollArguments"] = { direction: "sideways" };
void wrong;

await client.DELETE("/agent/sessions/{session}", { params: { path } });
console.log("ok typescript");
