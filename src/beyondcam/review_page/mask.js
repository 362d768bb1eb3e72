"use strict";
// From stored evidence to a mask, as `labels_at` in seeds/labels.py makes it, so that a slider redraws at once.

// The values of a grey picture (width × height), from one of its rows on.
function greyOf(bitmap, width, height, top = 0) {
  const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, -top);
  const { data } = canvas.getImageData(0, 0, width, height);
  const values = new Uint8Array(width * height);
  for (let p = 0; p < values.length; p++) values[p] = data[4 * p];
  return values;
}

// Which label has the most evidence at each pixel, of the classes that are on, and how much; ties go to the lower.
function winnersOf({ width, height, targets, levels }) {
  const size = width * height, label = new Uint8Array(size), best = new Uint8Array(size);
  const on = targets.map((_, at) => at).filter((at) => targets[at].on);
  on.sort((a, b) => targets[a].class - targets[b].class).forEach((at, turn) => {
    const own = levels[at], name = targets[at].class + 1;
    for (let p = 0; p < size; p++) if (turn === 0 || own[p] > best[p]) { best[p] = own[p]; label[p] = name; }
  });
  return { label, best };
}

// Draws the mask that was decided about, or else what lies above the level of the class that wins it.
function paintMask(canvas, { width, height, targets, winners: { label, best }, decided }, classes) {
  const picture = new ImageData(width, height), out = new Uint32Array(picture.data.buffer);
  const colours = new Uint32Array(256), highest = new Uint8Array(256);
  classes.forEach(({ colour: [r, g, b] }, c) => { colours[c + 1] = 255 << 24 | b << 16 | g << 8 | r; });
  colours[255] = 0xffc0e0e0;  // void
  for (const target of targets) highest[target.class + 1] = target.level;
  for (let p = 0; p < out.length; p++) {
    out[p] = colours[decided ? decided[p] : best[p] > highest[label[p]] ? label[p] : 0];
  }
  canvas.canvas.width = width;
  canvas.canvas.height = height;
  canvas.putImageData(picture, 0, 0);
}
