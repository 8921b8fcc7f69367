// Python in a worker: the tool itself, as a wheel, on pyodide. Nothing is fetched but from HERE.

const FILES = "/model";
let last = 0;

const tell = (progress) => self.postMessage({ progress });

/** Load Python and the tool, and let it explain a line, so that the first answer finds all loaded. */
async function load() {
  tell("Loading Python …");
  const packages = fetch(`${HERE}python.zip`).then((answer) => answer.arrayBuffer());
  const memory = snapshot();
  const { loadPyodide } = await import(`${HERE}pyodide/pyodide.mjs`);
  const python = await loadPyodide({ indexURL: `${HERE}pyodide/`, _loadSnapshot: await memory });
  tell("Loading the tool …");
  python.unpackArchive(new Uint8Array(await packages), "zip", { extractDir: sitePackages(python) });
  const browser = python.pyimport("varhandle.browser");
  browser.explain_log("");
  return { python, browser };
}

/** The memory of a Python that has imported the tool: five times as fast as to start one. */
async function snapshot() {
  const { body } = await fetch(`${HERE}python.snapshot`);
  const unpacked = new Response(body.pipeThrough(new DecompressionStream("gzip")));
  return new Uint8Array(await unpacked.arrayBuffer());
}

function sitePackages(python) {
  return python.runPython("import site; site.getsitepackages()[0]");
}

const loading = load();

/**
 * Write the files of a model where Python sees them; return the name of the model.
 *
 * Python stands in the folder, so that the commands that it prints name the file as its owner does.
 */
async function write(python, entries) {
  const folder = `${FILES}/${++last}`;
  python.FS.mkdirTree(folder);
  python.FS.chdir(folder);
  for (const { path, file } of entries) {
    if (path.includes("/")) python.FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
    python.FS.writeFile(path, new Uint8Array(await file.arrayBuffer()), { canOwn: true });
  }
  return entries[0].path.split("/")[0];
}

/** Forget the model before: a page that stays open must not fill memory. */
function forget(python) {
  python.FS.chdir("/");
  if (python.FS.analyzePath(FILES).exists) python.runPython(`__import__("shutil").rmtree("${FILES}")`);
}

const methods = {
  async ready() {
    await loading;
  },
  async explain({ text }) {
    const { browser } = await loading;
    return JSON.parse(browser.explain_log(text));
  },
  async read({ entries }) {
    const { python, browser } = await loading;
    forget(python);
    tell("Reading the file …");
    const name = await write(python, entries);
    tell("Looking for what is wrong …");
    return JSON.parse(browser.read_model(name));
  },
  async lift({ name }) {
    const { python, browser } = await loading;
    tell("Lifting the state …");
    const target = `${name.replace(/\.tflite$/, "")}_lifted.tflite`;
    const answer = JSON.parse(browser.lift(name, target));
    if (answer.error) return answer;
    return { ...answer, files: [answer.file, answer.state_file].map((one) => kept(python, one)) };
  },
};

/** A file that Python has written, to be downloaded. */
function kept(python, name) {
  return { name, content: python.FS.readFile(name) };
}

self.addEventListener("message", async ({ data }) => {
  const { id, method } = data;
  try {
    self.postMessage({ id, result: await methods[method](data) });
  } catch (error) {
    self.postMessage({ id, error: String(error.message ?? error).trim().split("\n").at(-1) });
  }
});
