// "Open with Netron" in JupyterLab's file browser, for model files under the server's root; and
// buttons in a notebook that open a file beside it.
//
// JupyterLab loads an extension as a container of webpack's module federation: an object with init,
// which is given the modules that JupyterLab shares, and get, which gives the plugin. That contract
// is small enough to be kept by hand, so this file is its own source and nothing has to be built.
"use strict";
(() => {
  const COMMAND = "varhandle-workbook:open-with-netron";
  const MODEL = /\.(tflite|keras|h5|pb)$/i;
  let shared;

  // JupyterLab's own copy: its tokens are objects, and the same one must be asked for.
  const load = async name => {
    const copies = Object.values(shared[name]);
    const own = copies.find(copy => copy.from === "@jupyterlab/application-top");
    return (await (own || copies[0]).get())();
  };

  const open = (app, IFrame, page, path) => {
    const id = `varhandle-workbook-netron:${path}`;
    let tab = [...app.shell.widgets("main")].find(widget => widget.id === id);
    if (!tab) {
      const dark = document.body.dataset.jpThemeLight === "false" ? "&theme=dark" : "";
      const address = `${page}?path=${encodeURIComponent(path)}${dark}`;
      if (app.name === "Jupyter Notebook") {
        window.open(address, "_blank", "noopener"); // its main area holds one thing, and no more
        return;
      }
      // Netron may run and save a picture; it may not open windows, or leave its frame.
      tab = new IFrame({ sandbox: ["allow-scripts", "allow-same-origin", "allow-downloads"] });
      tab.url = address;
      tab.id = id;
      tab.title.label = `Netron: ${path.split("/").pop()}`;
      tab.title.caption = `Netron: ${path}`;
      tab.title.closable = true;
      tab.node.querySelector("iframe").title = tab.title.caption;
      app.shell.add(tab, "main");
    }
    app.shell.activateById(id);
  };

  const plugin = async () => {
    const { PageConfig, URLExt } = await load("@jupyterlab/coreutils");
    const { IFileBrowserFactory } = await load("@jupyterlab/filebrowser");
    const { IFrame } = await load("@jupyterlab/ui-components");
    return {
      id: "varhandle-workbook:netron",
      description: "Opens model files with Netron.",
      autoStart: true,
      requires: [IFileBrowserFactory],
      activate: (app, browsers) => {
        const below = PageConfig.getOption("workbookNetron");
        if (!below) {
          return; // this server does not serve Netron
        }
        const page = URLExt.join(PageConfig.getBaseUrl(), below);
        const models = () =>
          [...(browsers.tracker.currentWidget?.selectedItems() ?? [])].filter(
            item => item.type !== "directory" && MODEL.test(item.path)
          );
        app.commands.addCommand(COMMAND, {
          label: "Open with Netron",
          isVisible: () => models().length > 0,
          execute: ({ path }) => {
            const paths = path ? [path] : models().map(item => app.serviceManager.contents.localPath(item.path));
            paths.forEach(one => open(app, IFrame, page, one));
          }
        });
        app.contextMenu.addItem({
          command: COMMAND,
          selector: '.jp-DirListing-item[data-isdir="false"]',
          rank: 2 // after Open and Open With
        });
      }
    };
  };

  // A click on what has the attribute data-workbook-beside opens the file that it names, seen from
  // the notebook, beside it: a control of ours cannot reach JupyterLab's commands by itself. Once a
  // file of that folder is open there, the next one joins it.
  const besidePlugin = async () => {
    const { PathExt } = await load("@jupyterlab/coreutils");
    return {
      id: "varhandle-workbook:beside",
      description: "Opens a file beside the notebook that names it.",
      autoStart: true,
      activate: app => {
        const folder = widget => PathExt.dirname(widget.context?.path ?? "/");
        document.body.addEventListener("click", event => {
          const named = event.target.closest?.("[data-workbook-beside]");
          const tabs = [...app.shell.widgets("main")];
          const notebook = named && tabs.find(tab => tab.node.contains(named));
          if (!notebook?.context) {
            return;
          }
          const path = PathExt.join(folder(notebook), named.dataset.workbookBeside);
          const near = tabs.find(
            tab => tab !== notebook && folder(tab) === PathExt.dirname(path) && tab.context.path.endsWith(".py")
          );
          const options = near
            ? { mode: "tab-after", ref: near.id }
            : { mode: "split-right", ref: notebook.id };
          app.commands.execute("docmanager:open", { path, options });
        });
      }
    };
  };

  // Drawings and plots are dark ink on a light sheet. In a dark theme they change places; the hues
  // stay. A plot has our class; a drawing lies in the lessons' folder of them, or in the notebook.
  const picturePlugin = {
    id: "varhandle-workbook:pictures",
    description: "Shows the lessons' drawings and plots dark in a dark theme.",
    autoStart: true,
    activate: () => {
      const style = document.createElement("style");
      style.textContent = `@media screen { [data-jp-theme-light="false"] img:is(.workbook-picture,
        .jp-MarkdownOutput [src*="/notebooks/pictures/"],
        .jp-MarkdownOutput [src^="data:image/svg"]) { filter: invert(0.92) hue-rotate(180deg) } }`;
      document.head.append(style);
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["varhandle-workbook"] = {
    init: scope => {
      shared = scope;
    },
    get: async () => {
      const exported = { __esModule: true, default: [await plugin(), await besidePlugin(), picturePlugin] };
      return () => exported;
    }
  };
})();
