// Tells the test all that it may want to know of a page, whenever something happens.
const events = [];
let number = 0, origin = null, planned = false;

function rect(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [left, top, width, height].map(Math.round);
}

function report() {
  planned = false;
  const state = {
    number: ++number,
    ready: document.readyState === "complete",
    origin,
    focused: document.hasFocus() && document.activeElement.id || null,
    selection: getSelection().toString(),
    scroll: [Math.round(scrollX), Math.round(scrollY)],
    rects: {}, values: {}, events,
  };
  for (const element of document.querySelectorAll("[id]")) {
    state.rects[element.id] = rect(element);
    if (element.type === "checkbox") state.values[element.id] = element.checked;
    else if ("value" in element) state.values[element.id] = element.value;
  }
  fetch("/state", { method: "POST", body: JSON.stringify(state) });
}

function plan() {
  if (!planned) setTimeout(report, 20);
  planned = true;
}

function chord(event) {
  const held = ["ctrl", "alt", "shift"].filter((name) => event[name + "Key"]);
  return [...held, event.key].join("+");
}

addEventListener("mousemove", (event) => {
  origin = [event.screenX - event.clientX, event.screenY - event.clientY];
}, true);
addEventListener("pointermove", (event) => {
  if (event.buttons) events.push("drag " + event.clientX + " " + event.clientY);
}, true);
addEventListener("keydown", (event) => events.push("keydown " + chord(event)), true);
for (const name of ["click", "auxclick", "dblclick", "contextmenu", "submit"])
  addEventListener(name, (event) => events.push(name + " " + event.target.id), true);
const watched = ["load", "input", "change", "submit", "click", "dblclick", "contextmenu", "mousemove",
  "mousedown", "mouseup", "keydown", "keyup", "scroll", "scrollend", "focusin", "focusout", "focus"];
for (const name of watched) addEventListener(name, plan, true);
document.addEventListener("selectionchange", plan);
addEventListener("submit", (event) => event.preventDefault());
