"use strict";
// The page of `beyondcam review`. The server stores evidence; which class wins a pixel, and whether by enough,
// is computed here, as `labels_at` in seeds/labels.py does it, so that a slider redraws at once.

const $ = (id) => document.getElementById(id);
const photo = $("photo").getContext("2d"), mask = $("mask").getContext("2d");
const WORDS = { a: "accepted", c: "corrected", r: "rejected", s: "skipped" };

let list;                 // what the server says of all images
let shown = 0;            // the number of the image that is shown
let view;                 // what was loaded of it; null where that failed
let turns = 0;            // how often another was asked for
let chosen = 0;           // its class that the arrow keys move
let history = [];         // decisions that can be taken back: [image, key]
let zoom = { scale: 1, x: 0, y: 0 };
let busy = false;         // one decision after the other
const ready = new Map();  // image → promise of its view, for the next to be there at once

// ---- the server ----

async function ask(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, options).catch(() => {
    throw new Error("beyondcam no longer answers. What you decided is saved; start `beyondcam review` again.");
  });
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).error), { answered: true });
  return answer;
}
const json = async (path, body) => (await ask(path, body)).json();
const bitmap = async (path) =>
  createImageBitmap(await (await ask(path)).blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });

async function load(n) {
  const [facts, picture] = await Promise.all([json(`facts/${n}`), bitmap(`photos/${n}`)]);
  const [k, height, width] = facts.shape;
  const grey = (of, top) => {  // the values of a grey picture from a row on
    const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    canvas.drawImage(of, 0, -top);
    const { data } = canvas.getImageData(0, 0, width, height);
    const values = new Uint8Array(width * height);
    for (let p = 0; p < values.length; p++) values[p] = data[4 * p];
    return values;
  };
  const [stored, decided] = await Promise.all([
    k ? bitmap(`evidence/${n}`) : null,
    facts.decision?.mask ? bitmap(`masks/${n}`) : null,
  ]);
  const levels = facts.targets.map((_, at) => grey(stored, at * height));
  return { n, facts, picture, width, height, levels, targets: facts.targets, decided: decided && grey(decided, 0) };
}

// ---- the mask ----

function findWinners() {  // ties go to the lower class
  const size = view.width * view.height, label = new Uint8Array(size), best = new Uint8Array(size);
  const order = view.targets.map((_, at) => at).sort((a, b) => view.targets[a].class - view.targets[b].class);
  order.filter((at) => view.targets[at].on).forEach((at, turn) => {
    const levels = view.levels[at], name = view.targets[at].class + 1;
    for (let p = 0; p < size; p++) if (turn === 0 || levels[p] > best[p]) { best[p] = levels[p]; label[p] = name; }
  });
  view.winners = { label, best };
}

function paint() {
  const { width, height } = view, picture = new ImageData(width, height), out = new Uint32Array(picture.data.buffer);
  const colours = new Uint32Array(256), least = new Uint8Array(256);
  list.classes.forEach(({ colour: [r, g, b] }, c) => { colours[c + 1] = (255 << 24 | b << 16 | g << 8 | r) >>> 0; });
  colours[255] = 0xffc0e0e0;
  for (const target of view.targets) least[target.class + 1] = target.level;
  const { label, best } = view.winners;
  for (let p = 0; p < out.length; p++) {
    out[p] = view.decided ? colours[view.decided[p]] : best[p] > least[label[p]] ? colours[label[p]] : 0;
  }
  mask.canvas.width = width;
  mask.canvas.height = height;
  mask.putImageData(picture, 0, 0);
}

function change(at, changes) {  // of a class; what was decided before is no longer what is seen
  Object.assign(view.targets[at] || {}, changes);
  view.decided = null;
  if ("on" in changes) findWinners();
  chosen = at;
  paint();
  showClasses();
  showAbout();
}

// ---- what is shown ----

async function show(n) {
  const turn = ++turns;
  document.body.removeAttribute("data-shown");
  const loaded = await (ready.get(n) || load(n)).catch((error) => error);
  if (turn !== turns) return;
  ready.clear();
  [shown, chosen, zoom] = [n, 0, { scale: 1, x: 0, y: 0 }];
  view = loaded instanceof Error ? null : loaded;
  say(view ? "" : loaded.message);
  photo.canvas.width = view ? view.picture.width : 0;
  photo.canvas.height = view ? view.picture.height : 0;
  mask.canvas.width = 0;
  if (view) {
    photo.drawImage(view.picture, 0, 0);
    findWinners();
    paint();
    place();
  }
  showClasses();
  showAbout();
  showInList();
  document.body.dataset.shown = n;
  const next = following(n);
  if (next !== n) {
    ready.set(next, load(next));
    ready.get(next).catch(() => ready.delete(next));  // it is loaded again, and complained of, when it is shown
  }
}

function showAbout() {
  const { id, trust } = list.images[shown];
  const decision = view?.facts.decision;
  $("name").textContent = id;
  $("about").textContent = [
    `${shown + 1} of ${list.images.length}`,
    trust === null ? "" : `confidence ${trust.toFixed(2)}`,
    decision ? `${decision.state} by ${decision.who}, ${new Date(decision.when).toLocaleString()}` : "",
    decision?.mask && !view.decided ? "changed since, not saved" : "",
  ].filter(Boolean).join(" · ");
}

const tauOf = ({ level }) => `τ ${((level / 255) ** 2).toFixed(3)}`;

function showClasses() {
  const rows = (view?.targets || []).map((target, at) => {
    const { name, colour } = list.classes[target.class];
    const row = make("div", { className: `class ${at === chosen ? "chosen" : ""} ${target.on ? "" : "off"}` });
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = `rgb(${colour})`;
    const box = make("input", { type: "checkbox", id: `on-${at}`, checked: target.on });
    box.onchange = () => change(at, { on: box.checked });
    const label = make("label", { htmlFor: box.id, textContent: name });
    const tau = make("output", { textContent: tauOf(target) });
    const head = make("div", { className: "row" }, box, swatch, label, tau, make("kbd", { textContent: at + 1 }));
    const slider = make("input", { type: "range", min: 0, max: 255, value: target.level, ariaLabel: `τ of ${name}` });
    slider.oninput = () => {
      target.level = +slider.value;
      view.decided = null;
      tau.textContent = tauOf(target);
      paint();
      showAbout();
    };
    row.onpointerdown = () => {
      $("classes").children[chosen].classList.remove("chosen");
      row.classList.add("chosen");
      chosen = at;
    };
    row.append(head, slider);
    return row;
  });
  const none = make("p", { className: "none", textContent: view ? "No class: the mask is background." : "–" });
  $("classes").replaceChildren(...(rows.length ? rows : [none]));
}

function make(tag, fields, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

function fillList() {
  $("list").replaceChildren(...list.images.map(({ id, trust }, n) => {
    const button = make("button", { onclick: () => show(n), title: id }, make("i"),
      make("span", { className: "id", textContent: id }),
      make("span", { className: "trust", textContent: trust === null ? "" : trust.toFixed(2) }));
    return make("li", {}, button);
  }));
}

function showInList() {
  const rows = $("list"), button = rows.children[shown].firstChild;
  rows.querySelector("[aria-current]")?.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  const top = button.offsetTop - rows.offsetTop;  // scrollIntoView would move a narrow page, too
  if (top < rows.scrollTop || top > rows.scrollTop + rows.clientHeight - 40) {
    rows.scrollTop = top - rows.clientHeight / 3;
  }
}

function tell({ states }) {  // how every image stands, as it is on disk
  const rows = $("list").children, count = (letter) => states.split(letter).length - 1, left = count("-");
  for (let n = 0; n < states.length; n++) rows[n].firstChild.dataset.state = states[n];
  list.states = states;
  const decided = Object.keys(WORDS).filter(count).map((letter) => `${count(letter)} ${WORDS[letter]}`);
  $("counts").replaceChildren(make("b", { textContent: `${left} left` }), [` of ${states.length}`, ...decided].join(" · "));
  $("done").max = states.length;
  $("done").value = states.length - left;
}

function say(text, calm = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").classList.toggle("calm", calm);
}

// ---- going through them ----

function following(n) {  // the next one that is open, else the next that was skipped
  const { states } = list, round = states.slice(n + 1) + states.slice(0, n);
  const at = round.indexOf(round.includes("-") ? "-" : "s");
  return at < 0 ? n : (n + 1 + at) % states.length;
}

async function decide(state) {
  if (busy || !view) return;
  const n = view.n;
  busy = true;
  try {
    if (state !== "accepted" || !view.decided) {  // accepting what was accepted or corrected changes nothing
      const on = view.targets.filter((target) => target.on);
      const levels = Object.fromEntries(on.map((target) => [list.classes[target.class].name, target.level]));
      const answer = await json("decide", { image: n, state, levels, seen: view.facts.decision?.key ?? null });
      history.push([n, answer.key]);
      tell(answer);
    }
    const next = following(n), open = list.states.includes("-");
    await show(next);
    if (!open) say(next === n ? "All done. Stop beyondcam with Ctrl-C." : "None left but those you skipped.", true);
  } catch (error) {
    if (error.answered) await show(n);  // it may be another tab's by now
    say(error.message);
  } finally {
    busy = false;
  }
}

async function undo() {
  if (busy || !history.length) return;
  busy = true;
  const [n, key] = history.at(-1);
  try {
    tell(await json("undo", { key }));
    history.pop();
    ready.clear();
    await show(n);
  } catch (error) {
    say(error.message);
  } finally {
    busy = false;
  }
}

// ---- zoom ----

function place() {  // the sheet fits the stage, and is moved and scaled from there
  const { clientWidth: w, clientHeight: h } = $("stage"), { width, height } = view.picture;
  const fit = Math.min(w / width, h / height), sheet = $("sheet");
  zoom.x = limit(zoom.x, w * (zoom.scale - 1));
  zoom.y = limit(zoom.y, h * (zoom.scale - 1));
  sheet.style.width = `${width * fit}px`;
  sheet.style.height = `${height * fit}px`;
  const left = (w - width * fit * zoom.scale) / 2 + zoom.x, top = (h - height * fit * zoom.scale) / 2 + zoom.y;
  sheet.style.transform = `translate(${left}px, ${top}px) scale(${zoom.scale})`;
  sheet.classList.toggle("coarse", fit * zoom.scale > 3);
}

const limit = (value, range) => Math.max(-range / 2, Math.min(range / 2, value));

function zoomBy(factor, x = 0, y = 0) {  // x, y: what stays in place, from the middle of the stage
  if (!view) return;
  const scale = Math.max(1, Math.min(32, zoom.scale * factor)), by = scale / zoom.scale;
  zoom = { scale, x: x + (zoom.x - x) * by, y: y + (zoom.y - y) * by };
  place();
}

$("stage").addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = $("stage").getBoundingClientRect();
  const x = event.clientX - box.left - box.width / 2, y = event.clientY - box.top - box.height / 2;
  zoomBy(Math.exp(-event.deltaY / 400), x, y);
}, { passive: false });
$("stage").onpointerdown = (event) => $("stage").setPointerCapture(event.pointerId);
$("stage").onpointermove = (event) => {
  if (!view || !event.buttons) return;
  zoom.x += event.movementX;
  zoom.y += event.movementY;
  place();
};
new ResizeObserver(() => view && place()).observe($("stage"));

// ---- keys ----

function opacity(by) {
  $("opacity").value = +$("opacity").value + by;
  $("mask").style.opacity = $("opacity").value / 100;
}
const toggleMask = () => { $("mask").hidden = !$("mask").hidden; };
const step = (by) => view?.targets.length && change(chosen, { level: Math.max(0, Math.min(255, view.targets[chosen].level + by)) });
const toggleClass = () => view?.targets.length && change(chosen, { on: !view.targets[chosen].on });
const go = (by) => show((shown + by + list.images.length) % list.images.length);
const choose = (at) => { if (at < (view?.targets.length || 0)) { chosen = at; showClasses(); } };
function reset() {
  if (!view) return;
  view.targets.forEach((target) => Object.assign(target, { level: target.suggested, on: true }));
  change(chosen, { on: true });
}

const KEYS = [  // keys, what they do, how they are shown
  [["a"], () => decide("accepted"), "A", "accept"],
  [["r"], () => decide("rejected"), "R", "reject"],
  [["s"], () => decide("skipped"), "S", "skip"],
  [["u"], undo, "U", "undo"],
  [["ArrowRight"], () => go(1), "→", "next photo"],
  [["ArrowLeft"], () => go(-1), "←", "photo before"],
  [["ArrowUp"], (event) => step(event.shiftKey ? 16 : 2), "↑", "τ up (⇧ more)"],
  [["ArrowDown"], (event) => step(event.shiftKey ? -16 : -2), "↓", "τ down"],
  [[..."123456789"], (event) => choose(event.key - 1), "1–9", "choose class"],
  [["c"], () => choose((chosen + 1) % (view?.targets.length || 1)), "C", "next class"],
  [["x"], toggleClass, "X", "class on, off"],
  [["b"], reset, "B", "suggested τ"],
  [["m"], toggleMask, "M", "hide mask"],
  [["p"], () => opacity(10), "P", "more mask"],
  [["o"], () => opacity(-10), "O", "less mask"],
  [["+", "="], () => zoomBy(1.5), "+", "zoom in"],
  [["-"], () => zoomBy(1 / 1.5), "−", "zoom out"],
  [["0"], () => zoomBy(0), "0", "fit"],
];

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.type === "range" && key.startsWith("Arrow")) return;  // its own
  if (["BUTTON", "INPUT"].includes(target.tagName) && [" ", "Enter"].includes(key)) return;
  const entry = KEYS.find(([keys]) => keys.includes(key.length === 1 ? key.toLowerCase() : key));
  if (entry && list) {
    event.preventDefault();
    entry[1](event);
  }
});
document.addEventListener("pointerup", () => setTimeout(() => document.activeElement?.blur()));  // keys are the page's

$("keys").append(...KEYS.flatMap(([, , key, what]) => [
  make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: what })]));
$("accept").onclick = () => decide("accepted");
$("reject").onclick = () => decide("rejected");
$("skip").onclick = () => decide("skipped");
$("undo").onclick = undo;
$("reset").onclick = reset;
$("in").onclick = () => zoomBy(1.5);
$("out").onclick = () => zoomBy(1 / 1.5);
$("fit").onclick = () => zoomBy(0);
$("opacity").oninput = () => opacity(0);

(async () => {
  try {
    list = await json("list");
    history = list.history;
    $("title").textContent = list.title;
    opacity(0);
    fillList();
    tell(list);
    const open = list.states.indexOf("-");
    await show(Math.max(0, open));
    if (open < 0) say("All are decided. Choose a photo to look at it again.", true);
  } catch (error) {
    say(error.message);
  }
})();
