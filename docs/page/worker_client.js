// A worker that is asked questions and answers them, one promise each.

const HERE = new URL(".", import.meta.url).href;

/**
 * Start a script of this folder as a worker that is held by the page's own security policy.
 *
 * A worker that comes from a server has the policy that the server sends, and a plain file server
 * sends none; one that comes from a blob takes over the policy of the page.
 */
function start(script) {
  const lines = `self.HERE = ${JSON.stringify(HERE)};\nimportScripts(HERE + ${JSON.stringify(script)});`;
  const address = URL.createObjectURL(new Blob([lines], { type: "text/javascript" }));
  const worker = new Worker(address);
  worker.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });
  return worker;
}

export class WorkerClient {
  #script;
  #worker = null;
  #waiting = new Map();
  #last = 0;
  #tell;

  /** `tell` is called with a line whenever the worker says what it is doing. */
  constructor(script, tell) {
    this.#script = script;
    this.#tell = tell;
  }

  start() {
    if (this.#worker) return;
    this.#worker = start(this.#script);
    this.#worker.addEventListener("message", ({ data }) => this.#receive(data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.stop(event.message || "it did not start");
    });
  }

  /** Ask; the promise is kept when the worker answers. `moved` buffers change hands. */
  ask(method, details = {}, moved = []) {
    this.start();
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, ...details }, moved);
    });
  }

  /** End the worker; whatever was asked fails. The next question starts a new one. */
  stop(why = "it was stopped") {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }

  #receive({ id, progress, result, error }) {
    if (progress !== undefined) {
      this.#tell(progress);
      return;
    }
    const { resolve, reject } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (error === undefined) resolve?.(result);
    else reject?.(new Error(error));
  }
}
