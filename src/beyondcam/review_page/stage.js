"use strict";
// The photo on the stage, and how it lies there: it fits, and is moved and scaled from that.

const $ = (id) => document.getElementById(id);
let view;  // what was loaded of the photo that is shown; null where that failed
let zoom = { scale: 1, x: 0, y: 0 };
const held = new Map();  // mouse, pen or finger that is down → where, from the middle of the stage

function place() {
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

function fromMiddle({ clientX, clientY }) {
  const box = $("stage").getBoundingClientRect();
  return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
}

function grip() {  // the middle of the one or two that are held, and how far apart they are
  const [a, b = a] = held.values();
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
}

$("stage").addEventListener("wheel", (event) => {
  event.preventDefault();
  const { x, y } = fromMiddle(event);
  zoomBy(Math.exp(-event.deltaY / 400), x, y);
}, { passive: false });
$("stage").onpointerdown = (event) => {
  $("stage").setPointerCapture(event.pointerId);
  held.set(event.pointerId, fromMiddle(event));
};
$("stage").onlostpointercapture = (event) => held.delete(event.pointerId);
$("stage").onpointermove = (event) => {
  if (!view || !event.buttons || !held.has(event.pointerId)) return;
  const before = grip();
  held.set(event.pointerId, fromMiddle(event));
  const { x, y, apart } = grip();
  zoom.x += x - before.x;
  zoom.y += y - before.y;
  zoomBy(before.apart ? apart / before.apart : 1, x, y);
};
new ResizeObserver(() => view && place()).observe($("stage"));
