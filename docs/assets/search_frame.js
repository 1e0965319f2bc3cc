// The search runs in a worker, and a browser starts none for a page that is opened as a file. There a hidden frame
// runs the worker's script. The theme's worker looks for the name IFrameWorker to find its other scripts.
"use strict";
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.inside = new Promise((started) => {
        frame.addEventListener("load", () => this.start(frame.contentWindow, script).then(started), { once: true });
      });
      document.body.append(frame);
    }

    async start(inside, script) {
      const load = (address) =>
        new Promise((loaded, failed) => {
          const element = inside.document.createElement("script");
          Object.assign(element, { src: new URL(address, document.baseURI), onload: loaded, onerror: failed });
          inside.document.body.append(element);
        });
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = async (...addresses) => {
        for (const address of addresses) await load(address);
      };
      await load(script);
      return inside;
    }

    postMessage(data) {
      this.inside.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
