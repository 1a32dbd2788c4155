/** Names blocks and bars under the pointer. The page is whole without it: every block has a title and a table row. */
export const SCRIPT = `
(() => {
  const figure = document.querySelector(".memory");
  if (!figure) return;
  const readout = figure.querySelector(".readout");
  let on = null;
  const point = (shape) => {
    if (on === shape) return;
    if (on) on.classList.remove("on");
    on = shape;
    figure.classList.toggle("pointed", shape !== null);
    if (shape) shape.classList.add("on");
    readout.textContent = shape ? shape.querySelector("title").textContent : readout.dataset.rest;
  };
  const find = (event) => event.target.closest(".block, .use, .stage");
  figure.addEventListener("pointerover", (event) => point(find(event)));
  figure.addEventListener("pointerleave", () => point(null));
  figure.addEventListener("click", (event) => point(find(event)));
})();
`;
