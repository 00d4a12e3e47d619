// Bundles the sources in src, with the libraries they use, into one file each in ../static, and writes down the
// libraries' licences there.
// The first line of a bundle names the sources it was made of; tests/notebook/test_frontend.py compares.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const ENTRIES = ["src/live.js", "src/panel.js", "src/stub.js"];
const OUT = "../static";
const EXTENSION = "../labextensions/qfmagic"; // as it is installed: share/jupyter/labextensions/qfmagic

const sources = ["build.mjs", "package-lock.json", "package.json", ...readdirSync("src").map((name) => `src/${name}`)];
const hashed = createHash("sha256");
for (const name of sources.sort()) hashed.update(`${name}\0`).update(readFileSync(name)).update("\0");
const hash = hashed.digest("hex");

// Styles become strings, made small and fit for browsers that don't know nested rules.
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const target = ["chrome109", "firefox110", "safari16"];
      const { outputFiles } = await build({ entryPoints: [path], minify: true, target, charset: "utf8", write: false });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};

const { metafile } = await build({
  entryPoints: ENTRIES.filter(existsSync),
  outdir: OUT,
  bundle: true,
  format: "esm",
  minify: true,
  metafile: true,
  target: ["es2022"],
  charset: "utf8",
  legalComments: "inline",
  define: { __QF_HASH__: JSON.stringify(hash) },
  plugins: [styles],
  banner: { js: `// Made from qfmagic/notebook/js ${hash} by "make bundle"; do not edit.` },
});

const used = new Set(Object.keys(metafile.inputs).map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]));
used.delete(undefined);
const licences = [...used].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const files = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file)).sort();
  if (!files.length) throw new Error(`${name} has no licence file`);
  const texts = files.map((file) => readFileSync(`${folder}/${file}`, "utf8").trim());
  return [`${name} ${version} (${license})`, ...texts].join("\n\n");
});
const intro = "The bundles in this folder hold these libraries, under the licences that follow.";
writeFileSync(`${OUT}/LICENSES.txt`, `${[intro, ...licences].join(`\n\n${"-".repeat(80)}\n\n`)}\n`);

// The extension of JupyterLab. Its script is named after its content: pages keep what they have loaded.
const extension = await build({
  entryPoints: ["src/lab_extension.js"],
  write: false,
  bundle: true,
  format: "iife",
  minify: true,
  target: ["es2022"],
  charset: "utf8",
  banner: { js: `// Made from qfmagic/notebook/js ${hash} by "make bundle"; do not edit.` },
});
const script = extension.outputFiles[0].text;
const load = `static/remoteEntry.${createHash("sha256").update(script).digest("hex").slice(0, 20)}.js`;
const version = /__version__ = "(.+)"/.exec(readFileSync("../../version.py", "utf8"))[1];
const manifest = {
  name: "qfmagic",
  version,
  description: "Reports the order of the page's cells to qfmagic in the kernel",
  license: "MIT",
  jupyterlab: { extension: true, _build: { load, extension: "./extension" } },
};
const installed = {
  packageManager: "python",
  packageName: "qfmagic",
  uninstallInstructions: "Use your Python package manager (pip, conda, ...) to uninstall the package qfmagic",
};
rmSync(EXTENSION, { recursive: true, force: true });
mkdirSync(`${EXTENSION}/static`, { recursive: true });
writeFileSync(`${EXTENSION}/${load}`, script);
writeFileSync(`${EXTENSION}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(`${EXTENSION}/install.json`, `${JSON.stringify(installed, null, 2)}\n`);
