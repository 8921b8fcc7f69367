// LiteRT.js in a worker: opens a .tflite file, and runs it call by call.
//
// LiteRT.js keeps a file's variables from call to call, and resolves run() also when it could not
// run the file: the outputs then hold whatever was in memory, and only a line on the console tells.
// So nothing that it printed while it ran is let pass as an answer.

const printed = [];
for (const kind of ["error", "warn", "log", "info"]) {
  console[kind] = (...words) => printed.push(words.join(" "));
}

const loading = load();
let content = null;
let model = null;

async function load() {
  self.postMessage({ progress: "Loading LiteRT.js …" });
  self.Module = { locateFile: (name) => `${HERE}litert/wasm/${name}` };
  const litert = await import(`${HERE}litert/index.js`);
  await litert.loadLiteRt(`${HERE}litert/wasm/`);
  return litert;
}

/** Run something, and throw if LiteRT printed an error meanwhile. */
async function watched(work) {
  printed.length = 0;
  let result, thrown;
  try {
    result = await work();
  } catch (error) {
    thrown = error;
  }
  const errors = printed.filter((line) => line.startsWith("ERROR:")).map(withoutPlace);
  if (errors.length) throw new Error(errors.join(" "));
  if (thrown) throw thrown;
  return result;
}

/** Drop where in LiteRT's own source a line comes from. */
function withoutPlace(line) {
  return line.replace(/^ERROR: (\[[^\]]*\] )?/, "");
}

async function compile() {
  const litert = await loading;
  model?.delete();
  model = null;
  model = await watched(() => litert.loadAndCompile(content, { accelerator: "wasm" }));
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

function signatures() {
  return Object.values(model.signatures).map((one) => ({
    key: one.key,
    inputs: one.getInputDetails().map(spec),
    outputs: one.getOutputDetails().map(spec),
  }));
}

function spec({ name, dtype, shape }) {
  return { name, dtype, shape: [...shape] };
}

async function call(key, inputs) {
  const litert = await loading;
  const runner = model.signatures[key];
  const details = runner.getInputDetails();
  const tensors = details.map(({ name, dtype, shape }) => new litert.Tensor(ARRAYS[dtype].from(inputs[name]), [...shape]));
  let answers = [];
  try {
    const started = performance.now();
    answers = await watched(() => runner.run(tensors));
    const milliseconds = performance.now() - started;
    const names = runner.getOutputDetails().map(({ name, shape }) => ({ name, shape: [...shape] }));
    return { milliseconds, outputs: answers.map((one, at) => ({ ...names[at], values: one.toTypedArray() })) };
  } finally {
    for (const one of [...tensors, ...answers]) one.delete();
  }
}

/** Call everything twice with zeros: what LiteRT.js cannot run shows by the second call at latest. */
async function probe() {
  for (const { key, inputs } of signatures()) {
    const zeros = Object.fromEntries(inputs.map(({ name, shape }) => [name, new Array(count(shape)).fill(0)]));
    await call(key, zeros);
    await call(key, zeros);
  }
}

function count(shape) {
  return shape.reduce((product, one) => product * one, 1);
}

const methods = {
  async open({ bytes, sizes }) {
    const view = new DataView(bytes);
    for (const [place, size] of sizes) view.setInt32(place, size, true);
    content = new Uint8Array(bytes);
    await compile();
    self.postMessage({ progress: "Trying the file …" });
    await probe();
    await compile();
    return signatures();
  },
  async call({ key, inputs }) {
    return call(key, inputs);
  },
  async reset() {
    await compile();
  },
};

async function answer(data) {
  const { id, method } = data;
  try {
    self.postMessage({ id, result: await methods[method](data) });
  } catch (error) {
    self.postMessage({ id, error: String(error.message ?? error) });
  }
}

// One after the other: a file that is opened while another one is tried must not take its place.
let done = Promise.resolve();
self.addEventListener("message", ({ data }) => {
  done = done.then(() => answer(data));
});
