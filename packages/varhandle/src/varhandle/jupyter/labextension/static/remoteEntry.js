// "Diagnose" and "Cure…" in the menu of a model in JupyterLab's file browser, each with a panel in
// the main area that shows what the tool is at, and its report.
//
// JupyterLab loads an extension as a container of webpack's module federation: an object with init,
// which is given the modules that JupyterLab shares, and get, which gives the plugin. That contract
// is small enough to be kept by hand, so this file is its own source and nothing has to be built.
"use strict";
(() => {
  const MODEL = /\.(tflite|keras|h5|hdf5|pb|pbtxt|meta)$/i;
  const NETRON = "varhandle-workbook:open-with-netron"; // there if the workbook is
  const STYLE = `
    .varhandle-panel { box-sizing: border-box; display: flex; flex-direction: column; gap: 12px;
      overflow: auto; padding: 16px 20px; background: var(--jp-layout-color1);
      color: var(--jp-ui-font-color1); font-family: var(--jp-ui-font-family);
      font-size: var(--jp-ui-font-size1, 13px); }
    .varhandle-below { min-height: 60vh; }
    .varhandle-panel:focus { outline: none; }
    .varhandle-panel h1 { margin: 0; font-size: var(--jp-ui-font-size3, 18px); font-weight: 600;
      overflow-wrap: anywhere; }
    .varhandle-panel p { margin: 0; overflow-wrap: anywhere; }
    .varhandle-panel form { display: grid; grid-template-columns: max-content minmax(0, 34rem);
      gap: 8px 12px; align-items: center; }
    .varhandle-panel form p { grid-column: 2; color: var(--jp-ui-font-color1); }
    .varhandle-panel select, .varhandle-panel input[type="text"] { box-sizing: border-box;
      width: 100%; min-height: 28px; padding: 3px 6px; color: var(--jp-ui-font-color0);
      background: var(--jp-layout-color0, var(--jp-layout-color1)); font: inherit;
      border: 1px solid var(--jp-border-color0, var(--jp-border-color1)); border-radius: 2px; }
    .varhandle-panel label.varhandle-trust { grid-column: 2; display: flex; gap: 8px; }
    .varhandle-row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
    .varhandle-panel form .varhandle-row { grid-column: 2; }
    .varhandle-panel button { min-height: 28px; padding: 3px 12px; font: inherit; cursor: pointer;
      color: var(--jp-ui-font-color0); background: var(--jp-layout-color2); border-radius: 2px;
      border: 1px solid var(--jp-border-color0, var(--jp-border-color1)); }
    .varhandle-panel button:disabled { cursor: default; color: var(--jp-ui-font-color2); }
    .varhandle-panel button:focus-visible, .varhandle-panel select:focus-visible,
    .varhandle-panel input:focus-visible, .varhandle-panel iframe:focus-visible {
      outline: 2px solid var(--jp-brand-color1); outline-offset: 1px; }
    .varhandle-panel [hidden] { display: none !important; }
    .varhandle-panel [role="status"] { font-weight: 600; }
    .varhandle-panel progress { width: 12rem; accent-color: var(--jp-brand-color1); }
    .varhandle-error { border-left: 4px solid var(--jp-error-color1); padding-left: 10px; }
    .varhandle-report { flex: 1 0 20rem; width: 100%; border: 0;
      border-top: 1px solid var(--jp-border-color1); }
    body[data-jp-theme-light="true"] .varhandle-panel { color-scheme: light; }
    body[data-jp-theme-light="false"] .varhandle-panel { color-scheme: dark; }`;
  let shared;

  // JupyterLab's own copy: its tokens are objects, and the same one must be asked for.
  const load = async name => {
    const copies = Object.values(shared[name]);
    const own = copies.find(copy => copy.from === "@jupyterlab/application-top");
    return (await (own || copies[0]).get())();
  };

  // What is put in as a child is text: a file's name is never markup.
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      key.startsWith("on") ? made.addEventListener(key.slice(2), value) : made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  // A report follows the system's theme, and here it is JupyterLab's that counts.
  const inTheme = report => {
    const dark = document.body.dataset.jpThemeLight === "false";
    const [head, ...rest] = report.split("</head>");
    const themed = head
      .replaceAll("(prefers-color-scheme: dark)", dark ? "all" : "not all")
      .replace("color-scheme: light dark", `color-scheme: ${dark ? "dark" : "light"}`);
    return [themed, ...rest].join("</head>");
  };

  // The server's side. A request that is a run answers line by line, and lasts as long as the run.
  class Server {
    constructor(below, { PageConfig, URLExt }, { ServerConnection }) {
      this._url = (...parts) => URLExt.join(PageConfig.getBaseUrl(), below, ...parts);
      this._connection = ServerConnection;
    }

    _request(url, init) {
      return this._connection.makeRequest(url, init, this._connection.makeSettings());
    }

    async ask(name, path) {
      const answer = await this._request(`${this._url(name)}?path=${encodeURIComponent(path)}`, {});
      return answer.ok ? answer.json() : this._refusal(answer);
    }

    // Ours, or Jupyter's own, of somebody who has been logged out.
    async _refusal(answer) {
      const told = await answer.json().catch(() => ({}));
      return { error: told.error ?? told.message ?? `The server answers ${answer.status}.` };
    }

    async run(verb, told, listener, signal) {
      const answer = await this._request(this._url(verb), {
        method: "POST",
        body: JSON.stringify(told),
        signal
      });
      if (!answer.ok) {
        listener(await this._refusal(answer));
        return;
      }
      let rest = "";
      const take = line => line.trim() && listener(JSON.parse(line));
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        const lines = (rest + (value ?? "")).split("\n");
        rest = lines.pop();
        lines.forEach(take);
        if (done) {
          take(rest);
          return;
        }
      }
    }

    end(run) {
      this._request(this._url("runs", run), { method: "DELETE", keepalive: true }).catch(() => {});
    }
  }

  const panelClass = Widget =>
    class Panel extends Widget {
      constructor(tool, verb, path) {
        super();
        this._tool = tool;
        this._path = path;
        this._verb = verb;
        const name = path.split("/").pop();
        const title = verb === "cure" ? "Cure" : "Diagnose";
        this.id = `varhandle-${verb}:${path}`;
        this.title.label = `${title}: ${name}`;
        this.title.caption = `${title}: ${path}`;
        this.title.closable = true;
        this.addClass("varhandle-panel");
        this.node.tabIndex = -1;
        this._cancel = element("button", { type: "button", onclick: () => this._end() }, "Cancel");
        this._bar = element("progress", { "aria-label": "at work" });
        this._clock = element("span", { "aria-hidden": "true" });
        this._said = element("span", { role: "status" });
        this._working = element("div", { class: "varhandle-row" }, this._bar, this._said, this._clock, this._cancel);
        this._fault = element("p", { class: "varhandle-error", role: "alert" });
        this._after = element("div", { class: "varhandle-row" });
        // No script, no form, no way out: the report is a page of text and tables.
        this._report = element("iframe", {
          class: "varhandle-report",
          sandbox: "",
          title: `Report: ${path}`
        });
        this._themes = new MutationObserver(() => this._show());
        this._themes.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
        this._leave = () => this._end();
        window.addEventListener("pagehide", this._leave);
        this.node.append(element("h1", {}, `${title} ${path}`));
        if (verb === "cure") {
          this._form = element("form", { onsubmit: event => this._submit(event) });
          this.node.append(this._form);
          void this._fill();
        }
        this.node.append(this._working, this._fault, this._after, this._report);
        for (const part of [this._working, this._fault, this._after, this._report]) {
          part.hidden = true;
        }
        if (verb === "diagnose") {
          void this._run({ path });
        }
      }

      onActivateRequest() {
        if (!this.node.contains(document.activeElement)) {
          (this._form?.querySelector("select") ?? this.node).focus();
        }
      }

      dispose() {
        if (!this.isDisposed) {
          window.removeEventListener("pagehide", this._leave);
          this._themes.disconnect();
          this._end();
          this._aborting?.abort();
          super.dispose();
        }
      }

      async _fill() {
        const offered = await this._tool.server.ask("cure", this._path).catch(error => ({
          error: String(error.message || error)
        }));
        if (offered.error) {
          this._refuse(offered.error);
          return;
        }
        const field = (label, control) => {
          control.id = `${this.id}-${label}`;
          this._form.append(element("label", { for: control.id }, label), control);
          return control;
        };
        const options = pairs => pairs.map(([value, text]) => element("option", { value }, text));
        const recipes = offered.recipes.map(one => [one.name, `${one.name}: ${one.what}`]);
        const text = { type: "text", spellcheck: "false", autocomplete: "off" };
        const list = element("datalist", { id: `${this.id}-files` });
        this._fields = {
          target: field("Target", element("select", {}, ...options(offered.targets.map(one => [one.id, `${one.id}: ${one.name}`])))),
          quantization: field("Quantization", element("select", {}, ...options([["", "none"], ...recipes]))),
          inputs: field("Inputs", element("input", { ...text, list: list.id, placeholder: "an .npz or .npy file, or a folder of images; empty: made up" })),
          output: field("File to write", element("input", { ...text, required: "", value: offered.output }))
        };
        const calibrated = new Set(offered.recipes.filter(one => one.calibrated).map(one => one.name));
        const note = element(
          "p",
          {},
          "This recipe is calibrated: with made-up inputs the file stays unproved."
        );
        const { quantization, inputs } = this._fields;
        const look = () => {
          note.hidden = !calibrated.has(quantization.value) || Boolean(inputs.value);
        };
        quantization.addEventListener("change", look);
        inputs.addEventListener("input", look);
        look();
        this._trust = element("input", { type: "checkbox" });
        this._trusting = element(
          "label",
          { class: "varhandle-trust" },
          this._trust,
          "Run the code that this model brings along. It runs on this machine as yours, in a " +
            "process that the kernel locks where it can. Only if you know who made the file."
        );
        this._trusting.hidden = true;
        this._go = element("button", { type: "submit" }, "Cure");
        this._form.append(list, note, this._trusting, element("div", { class: "varhandle-row" }, this._go));
        if (this._form.contains(document.activeElement) || document.activeElement === this.node) {
          this._fields.target.focus();
        }
        for (const path of await this._tool.arraysBeside(this._path)) {
          list.append(element("option", { value: path }));
        }
      }

      _submit(event) {
        event.preventDefault();
        const told = { path: this._path, trust: this._trust.checked };
        for (const [name, control] of Object.entries(this._fields)) {
          told[name] = control.value.trim();
        }
        void this._run(told);
      }

      async _run(told) {
        if (this._aborting) {
          return;
        }
        this._aborting = new AbortController();
        this._canceled = false;
        this._begin();
        let answer;
        const listen = said => {
          if (said.run) {
            this._id = said.run;
            this._canceled && this._end();
          } else if (said.progress) {
            this._said.textContent = `${said.progress} …`;
          } else {
            answer = said;
          }
        };
        try {
          await this._tool.server.run(this._verb, told, listen, this._aborting.signal);
        } catch (error) {
          answer ??= { error: `The server does not answer: ${error.message || error}` };
        }
        this._aborting = this._id = undefined;
        clearInterval(this._ticking);
        if (!this.isDisposed) {
          this._finish(answer ?? { error: "The run ended without an answer." });
        }
      }

      _begin() {
        this._answered = undefined;
        const started = Date.now();
        const tick = () => {
          this._clock.textContent = `${Math.round((Date.now() - started) / 1000)} s`;
        };
        tick();
        this._ticking = setInterval(tick, 1000);
        this._said.textContent = "reading the model …";
        this._working.hidden = this._bar.hidden = this._cancel.hidden = this._clock.hidden = false;
        this._fault.hidden = this._after.hidden = this._report.hidden = true;
        this._cancel.disabled = false;
        if (this._go) {
          this._go.disabled = true;
          this._cancel.focus();
        }
      }

      // Ends the run; the request ends with it.
      _end() {
        this._canceled = Boolean(this._aborting);
        if (this._id) {
          this._cancel.disabled = true;
          this._tool.server.end(this._id);
        }
      }

      _finish(answer) {
        const hadFocus = document.activeElement === this._cancel;
        this._bar.hidden = this._cancel.hidden = true;
        if (this._go) {
          this._go.disabled = false;
        }
        const after = [];
        const button = (label, act) => after.push(element("button", { type: "button", onclick: act }, label));
        if (answer.error) {
          this._working.hidden = true;
          this._refuse(this._canceled ? "Canceled: nothing was written." : answer.error);
          if (answer.untrusted && this._trusting) {
            this._trusting.hidden = false;
          }
        } else {
          this._said.textContent = answer.verdict + (answer.file ? `: wrote ${answer.file}` : "");
          if (answer.state) {
            this._said.textContent += `, and the state before the first call to ${answer.state}`;
          }
          this._answered = answer.report;
          this._show();
          answer.file && this._tool.refresh();
        }
        const shown = answer.file ?? this._path;
        if (this._verb === "diagnose") {
          button("Diagnose again", () => void this._run({ path: this._path }));
          answer.error || button("Cure…", () => this._tool.open("cure", this._path));
        } else if (answer.file) {
          button("Diagnose the file", () => this._tool.open("diagnose", shown));
        }
        if (!answer.error && this._tool.hasNetron()) {
          button("Open with Netron", () => this._tool.openNetron(shown));
        }
        this._after.replaceChildren(...after);
        this._after.hidden = !after.length;
        if (hadFocus) {
          (this._go ?? after[0] ?? this.node).focus();
        }
      }

      _show() {
        if (this._answered) {
          this._report.srcdoc = inTheme(this._answered);
          this._report.hidden = false;
        }
      }

      _refuse(line) {
        this._fault.textContent = line;
        this._fault.hidden = false;
      }
    };

  // Which folders are models, of those that the file browser shows: the server looks into them.
  class KnownFolders {
    constructor(server) {
      this._server = server;
      this._seen = "";
      this._paths = new Set();
    }

    watch(browser, localPath) {
      const look = async () => {
        const model = browser.model;
        const folders = [...model.items()].filter(item => item.type === "directory");
        const seen = JSON.stringify([model.path, folders.map(item => [item.name, item.last_modified])]);
        if (!folders.length || seen === this._seen) {
          return;
        }
        this._seen = seen;
        const found = await this._server.ask("models", localPath(model.path)).catch(() => ({}));
        const named = new Set(found.folders ?? []);
        for (const item of folders) {
          named.has(item.name) ? this._paths.add(item.path) : this._paths.delete(item.path);
        }
      };
      browser.model.refreshed.connect(look);
      void look();
    }

    has(item) {
      return this._paths.has(item.path);
    }
  }

  const plugin = async () => {
    const coreutils = await load("@jupyterlab/coreutils");
    const services = await load("@jupyterlab/services");
    const { IFileBrowserFactory } = await load("@jupyterlab/filebrowser");
    const { Widget } = await load("@lumino/widgets");
    return {
      id: "varhandle:menu",
      description: "Diagnoses and cures model files.",
      autoStart: true,
      requires: [IFileBrowserFactory],
      activate: (app, browsers) => {
        const below = coreutils.PageConfig.getOption("varhandle");
        if (!below) {
          return; // this server does not run the tool
        }
        document.head.append(element("style", {}, STYLE));
        const server = new Server(below, coreutils, services);
        const { contents } = app.serviceManager;
        const Panel = panelClass(Widget);
        const tool = {
          server,
          hasNetron: () => app.commands.hasCommand(NETRON),
          openNetron: path => void app.commands.execute(NETRON, { path }),
          open: (verb, path) => {
            const id = `varhandle-${verb}:${path}`;
            const open = ["main", "down"].flatMap(area => [...app.shell.widgets(area)]);
            let panel = open.find(widget => widget.id === id);
            if (!panel) {
              panel = new Panel(tool, verb, path);
              app.shell.add(panel, "main");
              if (!panel.isAttached) {
                panel.addClass("varhandle-below"); // Notebook 7: its main area holds one thing
                app.shell.add(panel, "down");
              }
            }
            app.shell.activateById(id);
            if (panel.hasClass("varhandle-below")) {
              panel.parent.parent.currentWidget = panel; // Notebook 7 leaves it behind the last one
            }
          },
          refresh: () => void browsers.tracker.currentWidget?.model.refresh(),
          arraysBeside: async path => {
            const folder = coreutils.PathExt.dirname(path);
            const listed = await contents.get(folder).catch(() => ({ content: [] }));
            return listed.content.filter(item => /\.np[yz]$/.test(item.name)).map(item => item.path);
          }
        };
        const folders = new KnownFolders(server);
        const watch = browser => folders.watch(browser, path => contents.localPath(path));
        browsers.tracker.forEach(watch);
        browsers.tracker.widgetAdded.connect((_, browser) => watch(browser));
        const isModel = item => (item.type === "directory" ? folders.has(item) : MODEL.test(item.path));
        const models = () =>
          [...(browsers.tracker.currentWidget?.selectedItems() ?? [])].filter(
            item => isModel(item) && !contents.driveName(item.path)
          );
        const paths = args => (args.path ? [args.path] : models().map(item => contents.localPath(item.path)));
        const add = (id, label, selector, rank, execute, isVisible = () => models().length > 0) => {
          app.commands.addCommand(id, { label, isVisible, execute: args => paths(args).forEach(execute) });
          app.contextMenu.addItem({ command: id, selector, rank }); // after Open and Open With
        };
        const item = ".jp-DirListing-item";
        add("varhandle:diagnose", "Diagnose", item, 2.1, path => tool.open("diagnose", path));
        add("varhandle:cure", "Cure…", item, 2.2, path => tool.open("cure", path));
        // Of a file, the workbook's own entry does.
        const folder = `${item}[data-isdir="true"]`;
        add("varhandle:netron", "Open with Netron", folder, 2.3, tool.openNetron, () => models().length > 0 && tool.hasNetron());
      }
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["varhandle"] = {
    init: scope => {
      shared = scope;
    },
    get: async () => {
      const exported = { __esModule: true, default: [await plugin()] };
      return () => exported;
    }
  };
})();
