// Sliders between before and after, and keys. Without it the page shows all it has, too.
document.documentElement.classList.add("js");

for (const pair of document.querySelectorAll(".compare")) {
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, value: 50 });
  slider.id = `${pair.closest("li").id}-slider`;
  slider.setAttribute("aria-label", "from before to after");
  const show = () => pair.style.setProperty("--at", `${100 - slider.value}%`);
  const follow = (event) => {
    if (event.buttons !== 1 || event.target === slider) return;
    const area = pair.querySelector(".after").getBoundingClientRect();
    slider.value = 100 - (100 * (event.clientX - area.left)) / area.width;
    show();
  };
  slider.addEventListener("input", show);
  pair.addEventListener("pointerdown", follow);
  pair.addEventListener("pointermove", follow);
  pair.append(slider);
  show();
}

const visible = (selector) =>
  [...document.querySelectorAll(selector)].filter((item) => item.checkVisibility());
let current = null;

function go(selector, by) {
  const items = visible(selector);
  if (items.length === 0) return;
  const after = (item) =>
    current && current.compareDocumentPosition(item) & Node.DOCUMENT_POSITION_FOLLOWING;
  let index = by > 0 ? items.findIndex((item) => !current || after(item)) : -1;
  if (by < 0) index = items.findLastIndex((item) => item !== current && current && !after(item));
  if (index < 0) return;
  current?.classList.remove("current");
  current = items[index];
  current.classList.add("current");
  (current.querySelector(":scope > summary") ?? current).focus({ preventScroll: true });
  current.scrollIntoView({ block: "center" });
}

function slide(by) {
  const slider = current?.querySelector(".compare input");
  if (!slider) return;
  slider.value = Number(slider.value) + by;
  slider.dispatchEvent(new Event("input"));
}

function toggle() {
  const details = current?.closest("details");
  if (details) details.open = !details.open;
}

const bad = ":is([data-status=failed], [data-status=flaky], [data-status=stopped])";
const wrong = `details.card${bad}, .steps > li${bad}`;
const items = "main details.card, main details.run, .steps > li";
const keys = {
  j: () => go(items, 1),
  k: () => go(items, -1),
  n: () => go(wrong, 1),
  p: () => go(wrong, -1),
  o: toggle,
  ArrowLeft: () => slide(-10),
  ArrowRight: () => slide(10),
};
addEventListener("keydown", (event) => {
  const typing = event.target.tagName === "INPUT";
  if (event.ctrlKey || event.metaKey || event.altKey || typing || !keys[event.key]) return;
  keys[event.key]();
  event.preventDefault();
});
