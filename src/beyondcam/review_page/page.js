"use strict";
// The page of `beyondcam review`: what is shown, and what is decided. mask.js makes masks of the evidence;
// stage.js, loaded before, has the view and its zoom.

const photo = $("photo").getContext("2d"), mask = $("mask").getContext("2d");
const WORDS = { a: "accepted", c: "corrected", r: "rejected", s: "skipped" };

let list;                 // what the server says of all images
let shown = 0;            // the number of the image that is shown
let turns = 0;            // how often another was asked for
let chosen = 0;           // its class that the arrow keys move
let history = [];         // decisions that can be taken back: [image, key]
let busy = false;         // one decision after the other
const broken = new Set(); // images that could not be shown
const ready = new Map();  // image → promise of its view, for the next to be there at once

// ---- the server ----

async function ask(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, options).catch(() => {
    throw new Error("beyondcam no longer answers. What you decided is saved; start `beyondcam review` again.");
  });
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
    throw Object.assign(new Error(error), { status: answer.status });
  }
  return answer;
}
const json = async (path, body) => (await ask(path, body)).json();
const bitmap = async (path) =>
  createImageBitmap(await (await ask(path)).blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });

async function load(n) {
  const [facts, picture] = await Promise.all([json(`facts/${n}`), bitmap(`photos/${n}`)]);
  const [k, height, width] = facts.shape;
  const [stored, decided] = await Promise.all([
    k ? bitmap(`evidence/${n}`) : null,
    facts.decision?.mask ? bitmap(`masks/${n}`) : null,
  ]);
  const levels = facts.targets.map((_, at) => greyOf(stored, width, height, at * height));
  const loaded = { n, facts, picture, width, height, levels, targets: facts.targets };
  return { ...loaded, winners: winnersOf(loaded), decided: decided && greyOf(decided, width, height) };
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
  broken[view ? "delete" : "add"](n);
  say(view ? "" : loaded.message);
  photo.canvas.width = view ? view.picture.width : 0;
  photo.canvas.height = view ? view.picture.height : 0;
  mask.canvas.width = 0;
  if (view) {
    photo.drawImage(view.picture, 0, 0);
    paintMask(mask, view, list.classes);
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

function change(at, changes) {  // of a class
  Object.assign(view.targets[at] || {}, changes);
  chosen = at;
  redraw("on" in changes);
}

function redraw(anew) {  // what was decided before is no longer what is seen; whether other pixels are won, too
  if (anew) view.winners = winnersOf(view);
  view.decided = null;
  paintMask(mask, view, list.classes);
  showAbout();
}

const tauOf = ({ level }) => `τ ${((level / 255) ** 2).toFixed(3)}`;

function showClasses() {
  const rows = (view?.targets || []).map((target, at) => {
    const { name, colour } = list.classes[target.class];
    const row = make("div", { className: `class ${at === chosen ? "chosen" : ""} ${target.on ? "" : "off"}` });
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = `rgb(${colour})`;
    const box = make("input", { type: "checkbox", id: `on-${at}`, checked: target.on });
    box.onchange = () => { change(at, { on: box.checked }); showClasses(); };
    const label = make("label", { htmlFor: box.id, textContent: name });
    const tau = make("output", { textContent: tauOf(target) });
    const head = make("div", { className: "row" }, box, swatch, label, tau, make("kbd", { textContent: at + 1 }));
    const slider = make("input", { type: "range", min: 0, max: 255, value: target.level, ariaLabel: `τ of ${name}` });
    slider.oninput = () => {
      change(at, { level: +slider.value });
      tau.textContent = tauOf(target);
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
  const inputs = () => [...$("classes").querySelectorAll("input")], at = inputs().indexOf(document.activeElement);
  $("classes").replaceChildren(...(rows.length ? rows : [none]));
  inputs()[at]?.focus();  // whoever goes by keys stays where they are
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

const toDo = () => [...list.states].map((state, n) => (broken.has(n) ? "?" : state)).join("");

function following(n) {  // the next one that is open, else the next that was skipped
  const states = toDo(), round = states.slice(n + 1) + states.slice(0, n);
  const at = round.indexOf(round.includes("-") ? "-" : "s");
  return at < 0 ? n : (n + 1 + at) % states.length;
}

async function alone(work) {  // one decision after the other
  if (busy) return;
  busy = true;
  await work().catch((error) => say(error.message));
  busy = false;
}

const decide = (state) => alone(async () => {
  if (!view) return show(following(shown));  // what cannot be shown is left as it is
  const { n, facts, targets, decided } = view;
  const kept = state === "accepted" && decided;  // accepting what was accepted or corrected changes nothing
  const on = targets.filter((target) => target.on).map((target) => [list.classes[target.class].name, target.level]);
  const asked = {
    image: n, state: kept ? "kept" : state, levels: Object.fromEntries(on), seen: facts.decision?.key ?? null,
  };
  const answer = await json("decide", asked).catch(async (error) => {
    if (error.status === 409) {  // another tab has decided about it; after any other error the sliders stay
      tell(await json("list"));
      await show(n);
    }
    throw error;
  });
  if (!kept) history.push([n, answer.key]);
  tell(answer);
  const next = following(n), open = toDo().includes("-");
  await show(next);
  const rest = broken.size ? "None left but those that cannot be shown." : "All done. Stop beyondcam with Ctrl-C.";
  if (!open) say(next === n ? rest : "None left but those you skipped.", true);
});

const undo = () => alone(async () => {
  if (!history.length) return;
  const [n, key] = history.at(-1);
  tell(await json("undo", { key }));
  history.pop();
  ready.clear();
  await show(n);
});

// ---- keys ----

function opacity(by) {
  $("opacity").value = +$("opacity").value + by;
  $("mask").style.opacity = $("opacity").value / 100;
}
function step(by) {
  const target = view?.targets[chosen];
  if (target) change(chosen, { level: Math.max(0, Math.min(255, target.level + by)) });
  showClasses();
}

function choose(at) {
  if (at < (view?.targets.length || 0)) chosen = at;
  showClasses();
}

function toggleClass() {
  if (view?.targets.length) change(chosen, { on: !view.targets[chosen].on });
  showClasses();
}

function reset() {
  if (view?.targets.length) {
    const anew = view.targets.some((target) => !target.on);
    for (const target of view.targets) Object.assign(target, { level: target.suggested, on: true });
    redraw(anew);  // once: of many classes the winners take long
  }
  showClasses();
}

const go = (by) => show((shown + by + list.images.length) % list.images.length);

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
  [["m"], () => $("mask").toggleAttribute("hidden"), "M", "hide mask"],
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
    if (event.repeat && "arsu".includes(entry[0][0])) return;  // a key held down decides once
    entry[1](event);
  }
});
document.addEventListener("pointerup", () => setTimeout(() => document.activeElement?.blur()));  // keys are the page's

$("keys").append(...KEYS.flatMap(([, , key, what]) => [
  make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: what })]));
for (const button of document.querySelectorAll("[data-key]")) {
  button.onclick = () => KEYS.find(([keys]) => keys.includes(button.dataset.key))[1]({});
}
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
