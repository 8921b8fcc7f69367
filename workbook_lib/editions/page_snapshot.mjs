// Writes the memory of a Python that has started and imported the tool: node page_snapshot.mjs PAGE.
// The page loads it in place of starting Python, which takes several times as long.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { pathToFileURL } from "node:url";

// Said and let end by itself: Node ends an error that nobody catches before all of it is written.
process.on("uncaughtException", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});

const page = path.resolve(process.argv[2]);
const { loadPyodide } = await import(pathToFileURL(path.join(page, "pyodide/pyodide.mjs")));
const packages = new Uint8Array(fs.readFileSync(path.join(page, "python.zip")));

// What compiles the modules is another Python: compiling takes memory that would stay in the snapshot.
const compiler = await loadPyodide({ stdout: console.error });
const extractDir = compiler.runPython("import site; site.getsitepackages()[0]");
compiler.unpackArchive(packages, "zip", { extractDir });
compiler.runPython(`
import compileall, shutil
from py_compile import PycInvalidationMode
compileall.compile_dir(
    "${extractDir}", quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
)
shutil.make_archive("/tmp/compiled", "zip", "${extractDir}")
`);

const python = await loadPyodide({ _makeSnapshot: true, stdout: console.error });
python.unpackArchive(compiler.FS.readFile("/tmp/compiled.zip"), "zip", { extractDir });
// No more than this: what is kept has to fit into the 30 MiB that Python's memory begins with.
python.runPython(`
import gc
from varhandle import browser, diagnosis
browser.explain_log("")
gc.collect()
`);
const memory = python.makeMemorySnapshot();
await loadPyodide({ _loadSnapshot: memory }); // it throws where the memory is too large
fs.writeFileSync(path.join(page, "python.snapshot"), zlib.gzipSync(memory, { level: 9 }));
