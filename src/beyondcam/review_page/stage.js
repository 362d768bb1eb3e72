"use strict";
// The photo on the stage, and how it lies there: it fits, and is moved and scaled from that.

const $ = (id) => document.getElementById(id);
let view;  // what was loaded of the photo that is shown; null where that failed
let zoom = { scale: 1, x: 0, y: 0 };

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
