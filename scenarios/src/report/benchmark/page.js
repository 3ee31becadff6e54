// Filters the failures by their kind and by words. Without it all of them are there.
const form = document.querySelector(".filters");
const cards = [...document.querySelectorAll(".failure")];
function filter() {
  const kinds = new Set([...form.querySelectorAll("input:checked")].map((box) => box.value));
  const words = form.querySelector("[type=search]").value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const card of cards) {
    const text = card.dataset.text;
    card.hidden = !kinds.has(card.dataset.class) || !words.every((word) => text.includes(word));
    shown += card.hidden ? 0 : 1;
  }
  form.querySelector("output").value = `${shown} of ${cards.length}`;
}
if (form) {
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}
