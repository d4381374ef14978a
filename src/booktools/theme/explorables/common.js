// What the explorables share, as one script: bundle.mjs gives them this in place of the modules.
import * as arithmetic from "./arithmetic.mjs";
import * as shared from "./shared.mjs";

globalThis.explorables = { ...arithmetic, ...shared };
