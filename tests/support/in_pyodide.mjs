// Asks the Python of a built page: node in_pyodide.mjs PAGE FOLDER QUESTIONS ANSWERS.
// FOLDER is where the models are; what a question writes there is written there. The questions are
// JSON, [[function, …arguments], …], and so are the answers.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { pathToFileURL } from "node:url";

const [page, folder, asked, answered] = process.argv.slice(2).map((each) => path.resolve(each));
const { loadPyodide } = await import(pathToFileURL(path.join(page, "pyodide/pyodide.mjs")));
const memory = new Uint8Array(zlib.gunzipSync(fs.readFileSync(path.join(page, "python.snapshot"))));
const pyodide = await loadPyodide({ _loadSnapshot: memory, stdout: console.error });
const packages = new Uint8Array(fs.readFileSync(path.join(page, "python.zip")));
pyodide.unpackArchive(packages, "zip", { extractDir: "/lib/python3.14/site-packages" });
pyodide.FS.mkdir("/models");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: folder }, "/models");
pyodide.FS.chdir("/models");
const browser = pyodide.pyimport("varhandle.browser");
const questions = JSON.parse(fs.readFileSync(asked, "utf-8"));
const answers = questions.map(([name, ...given]) => browser[name](...given));
fs.writeFileSync(answered, JSON.stringify(answers));
