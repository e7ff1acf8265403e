// What the scripts of several pages use.
const $ = id => document.getElementById(id);
const clamp = (value, most) => Math.max(0, Math.min(most, value));
const rgb = hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16));

// Return a colour of the page's head as #rrggbb.
function colorOf(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  return hex.length === 4 ? "#" + [...hex.slice(1)].map(c => c + c).join("") : hex;
}

// Return a number with n digits; what is no number, such as "nan", as it is.
function digits(value, n = 3) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value), text = value && (size < 1e-3 || size >= 1e6) ? value.toExponential(n - 1) : String(+value.toPrecision(n));
  return text.replace(/-/g, "−");
}

// Return the bytes that an element holds compressed.
const unpacked = new Map();
function bytesOf(id) {
  if (!unpacked.has(id)) {
    const text = atob($(id).textContent), packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    unpacked.set(id, new Response(stream).arrayBuffer());
  }
  return unpacked.get(id);
}

// Return the pen of an empty canvas, sharp on any screen.
function sharpPen(canvas, width, height) {
  const dense = devicePixelRatio || 1, w = Math.round(width * dense), h = Math.round(height * dense);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}
