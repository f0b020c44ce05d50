// Builds console/dist from src/: index.html, and assets/ with a script and a style sheet, whose names contain a hash of their content.
// Beside each file is one that is compressed, for gzip_static of nginx. usage: node build.mjs
import { readFile, writeFile, rename, rm } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const made = path.join(here, "dist.new");
await rm(made, { recursive: true, force: true });
const result = await build({
    absWorkingDir: here, entryPoints: { console: "src/main.tsx", style: "src/style.css" }, outdir: made, entryNames: "assets/[name]-[hash]",
    bundle: true, minify: true, format: "esm", target: ["chrome109", "firefox115", "safari16.4"], jsx: "automatic", jsxImportSource: "preact",
    charset: "utf8", legalComments: "none", metafile: true, logLevel: "warning",
});
const outputs = Object.keys(result.metafile.outputs);
const asset = (end) => "assets/" + path.basename(outputs.find((name) => name.endsWith(end)));
const page = (await readFile(path.join(here, "index.html"), "utf8")).replace("@STYLE@", asset(".css")).replace("@SCRIPT@", asset(".js"));
await writeFile(path.join(made, "index.html"), page);
let sum = 0;
for (const name of ["index.html", asset(".css"), asset(".js")]) {
    const packed = gzipSync(await readFile(path.join(made, name)), { level: 9 });
    sum += packed.length;
    await writeFile(path.join(made, name + ".gz"), packed);
}
await rm(path.join(here, "dist"), { recursive: true, force: true });
await rename(made, path.join(here, "dist"));
console.log(`console/dist: ${(sum / 1024).toFixed(1)} KiB compressed`);
